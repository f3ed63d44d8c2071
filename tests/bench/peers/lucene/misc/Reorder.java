import org.apache.lucene.index.MergePolicy;
import org.apache.lucene.misc.index.BPIndexReorderer;
import org.apache.lucene.misc.index.BPReorderingMergePolicy;

/** Lucene's own order of documents at merges, of lucene-misc; for `Indexer --reorder`, which finds it by name. */
public final class Reorder {
    /** Forced merges order all documents; natural ones leave them as they came. */
    public static MergePolicy policy(MergePolicy under, int minDocFreq) {
        BPIndexReorderer r = new BPIndexReorderer();
        r.setMinDocFreq(minDocFreq);
        r.setRAMBudgetMB(1024);
        BPReorderingMergePolicy p = new BPReorderingMergePolicy(under, r);
        p.setMinNaturalMergeNumDocs(Integer.MAX_VALUE);
        return p;
    }
}
