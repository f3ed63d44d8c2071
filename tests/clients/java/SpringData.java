import co.elastic.clients.elasticsearch._types.aggregations.Aggregation;
import java.util.Date;
import java.util.List;
import org.springframework.data.annotation.Id;
import org.springframework.data.annotation.Version;
import org.springframework.data.domain.PageRequest;
import org.springframework.data.domain.Sort;
import org.springframework.data.elasticsearch.annotations.DateFormat;
import org.springframework.data.elasticsearch.annotations.Document;
import org.springframework.data.elasticsearch.annotations.Field;
import org.springframework.data.elasticsearch.annotations.FieldType;
import org.springframework.data.elasticsearch.annotations.InnerField;
import org.springframework.data.elasticsearch.annotations.MultiField;
import org.springframework.data.elasticsearch.annotations.Setting;
import org.springframework.data.elasticsearch.client.ClientConfiguration;
import org.springframework.data.elasticsearch.client.elc.ElasticsearchAggregations;
import org.springframework.data.elasticsearch.client.elc.ElasticsearchConfiguration;
import org.springframework.data.elasticsearch.client.elc.NativeQuery;
import org.springframework.data.elasticsearch.core.ElasticsearchOperations;
import org.springframework.data.elasticsearch.core.SearchHits;
import org.springframework.data.elasticsearch.core.query.Criteria;
import org.springframework.data.elasticsearch.core.query.CriteriaQuery;
import org.springframework.data.elasticsearch.core.query.StringQuery;
import org.springframework.data.elasticsearch.core.query.UpdateQuery;
import org.springframework.data.elasticsearch.repository.ElasticsearchRepository;
import org.springframework.data.elasticsearch.repository.support.ElasticsearchRepositoryFactory;

/** What programs do with Spring Data Elasticsearch 5.5: mappings from annotations, operations, queries by criteria, repositories. */
public class SpringData {
    @Document(indexName = "persons")
    @Setting(shards = 1, replicas = 0)
    public static class Person {
        @Id public String id;
        @MultiField(mainField = @Field(type = FieldType.Text), otherFields = @InnerField(suffix = "raw", type = FieldType.Keyword)) public String name;
        @Field(type = FieldType.Integer) public Integer age;
        @Field(type = FieldType.Keyword) public String city;
        @Field(type = FieldType.Date, format = DateFormat.date_time) public Date born;
        @Field(type = FieldType.Nested) public List<Pet> pets;
        @Version public Long version;
    }

    public static class Pet {
        @Field(type = FieldType.Keyword) public String kind;
    }

    public interface Persons extends ElasticsearchRepository<Person, String> {
        List<Person> findByCityAndAgeGreaterThanOrderByAgeDesc(String city, int age);

        long countByCity(String city);

        void deleteByCity(String city);
    }

    static Person person(int i) {
        Person p = new Person();
        p.id = "" + i;
        p.name = "the person " + i;
        p.age = i;
        p.city = "c" + i % 4;
        p.born = new Date(1000L * i);
        Pet pet = new Pet();
        pet.kind = "k" + i % 2;
        p.pets = List.of(pet);
        return p;
    }

    public static void main(String[] args) {
        ElasticsearchConfiguration configuration = new ElasticsearchConfiguration() {
            @Override
            public ClientConfiguration clientConfiguration() {
                return ClientConfiguration.builder().connectedTo(args[0].replace("http://", "")).build();
            }
        };
        Tap.part("Spring Data", () -> {
            var rest = configuration.elasticsearchRestClient(configuration.clientConfiguration());
            var mapper = configuration.jsonpMapper();
            var client = configuration.elasticsearchClient(configuration.elasticsearchTransport(rest, mapper));
            var conversions = configuration.elasticsearchCustomConversions();
            var converter = configuration.elasticsearchEntityMapper(configuration.elasticsearchMappingContext(conversions), conversions);
            ElasticsearchOperations es = configuration.elasticsearchOperations(converter, client);
            Persons persons = new ElasticsearchRepositoryFactory(es).getRepository(Persons.class);
            Tap.check(es.indexOps(Person.class).exists(), "a repository makes its index");
            Tap.check(es.indexOps(Person.class).getMapping().toString().contains("nested"), "the mapping comes from annotations");
            persons.saveAll(java.util.stream.IntStream.range(0, 100).mapToObj(SpringData::person).toList());
            Tap.equal(persons.count(), 100L, "saveAll and count");
            Tap.equal(persons.findById("7").get().name, "the person 7", "findById");
            Tap.equal(persons.findByCityAndAgeGreaterThanOrderByAgeDesc("c1", 80).get(0).age, 97, "a query by the name of a method");
            Tap.equal(persons.findAll(PageRequest.of(1, 30, Sort.by("age"))).getContent().get(0).age, 30, "pages");
            SearchHits<Person> hits = es.search(new CriteriaQuery(new Criteria("name").contains("person").and("age").between(10, 19)), Person.class);
            Tap.equal(hits.getTotalHits(), 10L, "criteria");
            hits = es.search(new StringQuery("{\"nested\":{\"path\":\"pets\",\"query\":{\"term\":{\"pets.kind\":\"k1\"}}}}"), Person.class);
            Tap.equal(hits.getTotalHits(), 50L, "a nested query");
            hits = es.search(NativeQuery.builder().withQuery(q -> q.matchAll(m -> m)).withMaxResults(1).withAggregation("cities", Aggregation.of(a -> a.terms(t -> t.field("city")))).build(), Person.class);
            Tap.equal(((ElasticsearchAggregations) hits.getAggregations()).get("cities").aggregation().getAggregate().sterms().buckets().array().size(), 4, "an aggregation");
            Person stale = persons.findById("9").get();
            persons.save(persons.findById("9").get());
            Tap.raises("save of an old version", e -> e instanceof org.springframework.dao.OptimisticLockingFailureException || e.getMessage().contains("version_conflict"), () -> persons.save(stale));
            es.update(UpdateQuery.builder("8").withScript("ctx._source.age = params.a").withParams(java.util.Map.of("a", 1000)).build(), es.getIndexCoordinatesFor(Person.class));
            es.indexOps(Person.class).refresh();
            Tap.equal(persons.findById("8").get().age, 1000, "update by a script");
            try (var all = es.searchForStream(NativeQuery.builder().withQuery(q -> q.matchAll(m -> m)).withPageable(PageRequest.of(0, 30)).build(), Person.class)) {
                Tap.equal(all.stream().count(), 100L, "a stream, by scroll");
            }
            persons.deleteByCity("c2");
            es.indexOps(Person.class).refresh();
            Tap.equal(persons.count(), 75L, "a deletion by the name of a method");
            Tap.raises("a search of no index", e -> e.getClass().getSimpleName().contains("NoSuchIndex"), () -> es.search(new StringQuery("{\"match_all\":{}}"), Person.class, org.springframework.data.elasticsearch.core.mapping.IndexCoordinates.of("none")));
            Tap.check(es.indexOps(Person.class).delete(), "delete");
        });
        Tap.done();
    }
}
