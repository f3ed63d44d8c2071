/*
 * One OpenSearch node in this process, for comparing answers: loopback, free ports, one shard copy.
 *
 *   java -cp 'LIBS/*:CLASSES' Node DIR [CLUSTER]
 *
 * Writes DIR/http once it answers ("127.0.0.1:PORT"), ends on SIGTERM or when its standard input ends.
 */
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Map;
import org.opensearch.common.settings.Settings;
import org.opensearch.http.HttpServerTransport;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.plugins.Plugin;

public class Node extends org.opensearch.node.Node {
    private static final List<Class<? extends Plugin>> MODULES = List.of(
        org.opensearch.transport.Netty4Plugin.class,
        org.opensearch.analysis.common.CommonAnalysisPlugin.class,
        org.opensearch.index.mapper.MapperExtrasPlugin.class,
        org.opensearch.index.reindex.ReindexPlugin.class);

    private Node(Settings settings) {
        super(InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), null, () -> "node-1"), MODULES, true);
    }

    public static void main(String[] args) throws Exception {
        Path dir = Path.of(args[0]).toAbsolutePath();
        Files.createDirectories(dir.resolve("home/config"));
        Settings settings = Settings.builder()
            .put("path.home", dir.resolve("home").toString())
            .put("path.data", dir.resolve("data").toString())
            .put("cluster.name", args.length > 1 ? args[1] : "quidditch")
            .put("node.name", "node-1")
            .put("network.host", "127.0.0.1")
            .put("http.port", "0")
            .put("transport.port", "0")
            .put("discovery.type", "single-node")
            .put("cluster.routing.allocation.disk.threshold_enabled", false)
            .build();
        Node node = new Node(settings);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                node.close();
            } catch (java.io.IOException e) {
                System.err.println(e);
            }
        }));
        node.start();
        var address = node.injector().getInstance(HttpServerTransport.class).boundAddress().publishAddress();
        Path tmp = dir.resolve("http.tmp");
        Files.write(tmp, (address.getAddress() + ":" + address.getPort()).getBytes(StandardCharsets.UTF_8));
        Files.move(tmp, dir.resolve("http"), StandardCopyOption.ATOMIC_MOVE);
        while (System.in.read() >= 0) {
        }
        System.exit(0);
    }
}
