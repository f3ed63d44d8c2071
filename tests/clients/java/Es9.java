import co.elastic.clients.elasticsearch.ElasticsearchClient;
import co.elastic.clients.elasticsearch._types.Script;
import co.elastic.clients.elasticsearch._types.aggregations.CompositeAggregation;
import co.elastic.clients.elasticsearch._types.aggregations.CompositeAggregationSource;
import co.elastic.clients.elasticsearch.core.search.Highlight;
import co.elastic.clients.elasticsearch.core.search.HighlightField;
import co.elastic.clients.util.NamedValue;
import java.util.Set;

/** What ElasticsearchWork says otherwise in version 9. */
class Es {
    static ElasticsearchClient client(String url) {
        return ElasticsearchClient.of(b -> b.host(url));
    }

    static Script script(String source) {
        return Script.of(s -> s.source(t -> t.scriptString(source)));
    }

    static Highlight highlight(String field) {
        return Highlight.of(h -> h.fields(NamedValue.of(field, HighlightField.of(f -> f))));
    }

    static CompositeAggregation composite(String field) {
        return CompositeAggregation.of(c -> c.size(2).sources(NamedValue.of(field, CompositeAggregationSource.of(s -> s.terms(t -> t.field(field))))));
    }

    static Set<String> aliases(ElasticsearchClient es, String name) throws java.io.IOException {
        return es.indices().getAlias(g -> g.name(name)).aliases().keySet();
    }
}
