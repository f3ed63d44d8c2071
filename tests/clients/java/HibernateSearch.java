import org.hibernate.search.mapper.pojo.standalone.mapping.AnnotatedTypeSource;
import java.util.List;
import org.hibernate.search.engine.backend.types.Aggregable;
import org.hibernate.search.engine.backend.types.Highlightable;
import org.hibernate.search.engine.backend.types.ObjectStructure;
import org.hibernate.search.engine.backend.types.Projectable;
import org.hibernate.search.engine.backend.types.Sortable;
import org.hibernate.search.engine.search.aggregation.AggregationKey;
import org.hibernate.search.mapper.pojo.mapping.definition.annotation.DocumentId;
import org.hibernate.search.mapper.pojo.mapping.definition.annotation.FullTextField;
import org.hibernate.search.mapper.pojo.mapping.definition.annotation.GenericField;
import org.hibernate.search.mapper.pojo.mapping.definition.annotation.Indexed;
import org.hibernate.search.mapper.pojo.mapping.definition.annotation.IndexedEmbedded;
import org.hibernate.search.mapper.pojo.mapping.definition.annotation.KeywordField;
import org.hibernate.search.mapper.pojo.mapping.definition.annotation.SearchEntity;
import org.hibernate.search.mapper.pojo.standalone.mapping.CloseableSearchMapping;
import org.hibernate.search.mapper.pojo.standalone.mapping.SearchMapping;
import org.hibernate.search.mapper.pojo.standalone.session.SearchSession;

/** Hibernate Search 7 keeps entities in its Elasticsearch backend: schema, changes, searches, projections, aggregations. */
public class HibernateSearch {
    public static class Author {
        @FullTextField public String name;
        @GenericField public int born;
    }

    @SearchEntity
    @Indexed
    public static class Book {
        @DocumentId public Integer id;
        @FullTextField(analyzer = "standard", highlightable = Highlightable.UNIFIED, projectable = Projectable.YES) public String title;
        @KeywordField(sortable = Sortable.YES, aggregable = Aggregable.YES, projectable = Projectable.YES) public String genre;
        @GenericField(sortable = Sortable.YES, aggregable = Aggregable.YES, projectable = Projectable.YES) public Integer pages;
        @IndexedEmbedded(structure = ObjectStructure.NESTED) public List<Author> authors;
    }

    static Book book(int i) {
        Book b = new Book();
        b.id = i;
        b.title = "a book with number " + i;
        b.genre = "g" + i % 3;
        b.pages = i;
        Author a = new Author();
        a.name = "author " + i % 4;
        a.born = 1900 + i % 4;
        b.authors = List.of(a);
        return b;
    }

    public static void main(String[] args) {
        Tap.part("Hibernate Search", () -> {
            try (CloseableSearchMapping mapping = SearchMapping.builder(AnnotatedTypeSource.fromClasses(Book.class))
                    .property("hibernate.search.backend.type", "elasticsearch").property("hibernate.search.backend.hosts", args[0].replace("http://", "")).property("hibernate.search.backend.protocol", "http")
                    .property("hibernate.search.schema_management.strategy", "drop-and-create-and-drop").property("hibernate.search.indexing.plan.synchronization.strategy", "sync").build()) {
                Tap.check(true, "the schema is made, and validates");
                try (SearchSession s = mapping.createSession()) {
                    for (int i = 0; i < 120; i++) s.indexingPlan().add(book(i));
                }
                try (SearchSession s = mapping.createSession()) {
                    var r = s.search(Book.class).select(f -> f.composite().from(f.id(Integer.class), f.field("genre", String.class), f.highlight("title")).asList())
                        .where(f -> f.and(f.match().field("title").matching("book"), f.range().field("pages").atLeast(60), f.nested("authors").add(f.match().field("authors.name").matching("3"))))
                        .sort(f -> f.field("pages").desc()).highlighter(f -> f.unified()).fetch(5);
                    Tap.equal(r.total().hitCount(), 15L, "search");
                    Tap.equal(r.hits().get(0).get(0), 119, "a projection");
                    Tap.check(r.hits().get(0).get(2).toString().contains("<em>book</em>"), "highlight", r.hits().get(0));
                    AggregationKey<java.util.Map<String, Long>> genres = AggregationKey.of("genres");
                    var a = s.search(Book.class).select(f -> f.id(Integer.class)).where(f -> f.matchAll()).aggregation(genres, f -> f.terms().field("genre", String.class)).fetch(1);
                    Tap.equal(a.aggregation(genres).get("g1"), 40L, "an aggregation");
                    Tap.equal(s.search(Book.class).select(f -> f.id(Integer.class)).where(f -> f.simpleQueryString().field("title").matching("number + 7*")).fetchTotalHitCount() > 1, true, "a simple query string");
                    int n = 0;
                    try (var scroll = s.search(Book.class).select(f -> f.id(Integer.class)).where(f -> f.matchAll()).scroll(50)) {
                        for (var chunk = scroll.next(); chunk.hasHits(); chunk = scroll.next()) n += chunk.hits().size();
                    }
                    Tap.equal(n, 120, "scroll");
                }
                try (SearchSession s = mapping.createSession()) {
                    Book changed = book(7);
                    changed.genre = "new";
                    s.indexingPlan().addOrUpdate(changed);
                    s.indexingPlan().delete(book(8));
                }
                try (SearchSession s = mapping.createSession()) {
                    s.workspace(Book.class).refresh();
                    Tap.equal(s.search(Book.class).select(f -> f.id(Integer.class)).where(f -> f.match().field("genre").matching("new")).fetchAllHits(), List.of(7), "an update");
                    Tap.equal(s.search(Book.class).select(f -> f.id(Integer.class)).where(f -> f.matchAll()).fetchTotalHitCount(), 119L, "a deletion");
                    s.workspace(Book.class).purge();
                    s.workspace(Book.class).flush();
                    s.workspace(Book.class).refresh();
                    Tap.equal(s.search(Book.class).select(f -> f.id(Integer.class)).where(f -> f.matchAll()).fetchTotalHitCount(), 0L, "purge, by a delete by query");
                }
            }
        });
        Tap.done();
    }
}
