import co.elastic.clients.elasticsearch.ElasticsearchClient;
import co.elastic.clients.elasticsearch._types.Script;
import co.elastic.clients.elasticsearch._types.aggregations.CompositeAggregation;
import co.elastic.clients.elasticsearch._types.aggregations.CompositeAggregationSource;
import co.elastic.clients.elasticsearch.core.search.Highlight;
import co.elastic.clients.json.jackson.JacksonJsonpMapper;
import co.elastic.clients.transport.rest_client.RestClientTransport;
import java.util.Map;
import java.util.Set;
import org.apache.http.HttpHost;
import org.elasticsearch.client.RestClient;

/** What ElasticsearchWork says otherwise in version 8. */
class Es {
    static ElasticsearchClient client(String url) {
        return new ElasticsearchClient(new RestClientTransport(RestClient.builder(HttpHost.create(url)).build(), new JacksonJsonpMapper()));
    }

    static Script script(String source) {
        return Script.of(s -> s.source(source));
    }

    static Highlight highlight(String field) {
        return Highlight.of(h -> h.fields(field, f -> f));
    }

    static CompositeAggregation composite(String field) {
        return CompositeAggregation.of(c -> c.size(2).sources(Map.of(field, CompositeAggregationSource.of(s -> s.terms(t -> t.field(field))))));
    }

    static Set<String> aliases(ElasticsearchClient es, String name) throws java.io.IOException {
        return es.indices().getAlias(g -> g.name(name)).result().keySet();
    }
}
