/* config_t.c: where the server is and who we are: pods, kubeconfigs good and bad. */
#include "unit/kube/rig.h"
#include <kube/config.h>

/* --- a machine of a few files and variables --- */

typedef struct machine {
    rig w;
    kube_sources from;
    struct {
        const char *name, *value;
    } variables[8], files[16];
} machine;

static const char *variable(void *arg, const char *name)
{
    machine *m = arg;
    for (int i = 0; i < 8 && m->variables[i].name; i++)
        if (strcmp(m->variables[i].name, name) == 0) return m->variables[i].value;
    return NULL;
}

static int32_t read_file(void *arg, const kube_env *env, const char *path, size_t max, char **out,
                         size_t *n)
{
    machine *m = arg;
    for (int i = 0; i < 16 && m->files[i].name; i++) {
        if (strcmp(m->files[i].name, path) != 0) continue;
        if (!m->files[i].value) return QD_E_PERMISSION;
        *n = strlen(m->files[i].value);
        if (*n > max) return QD_E_TOO_LARGE;
        *out = kube_copy(env, m->files[i].value, *n);
        return *out ? 0 : QD_E_NOMEM;
    }
    return QD_E_NOTFOUND;
}

static void set(machine *m, const char *name, const char *value)
{
    int i = 0;
    while (m->variables[i].name && strcmp(m->variables[i].name, name) != 0) i++;
    m->variables[i].name = name;
    m->variables[i].value = value;
}
static void file(machine *m, const char *name, const char *value)
{
    int i = 0;
    while (m->files[i].name && strcmp(m->files[i].name, name) != 0) i++;
    m->files[i].name = name;
    m->files[i].value = value;
}
static void begin(machine *m)
{
    memset(m, 0, sizeof *m);
    rig_init(&m->w);
    m->from = (kube_sources){m, variable, read_file};
}

#define CA "-----BEGIN CERTIFICATE-----\nCA\n-----END CERTIFICATE-----\n"
#define KEY "-----BEGIN EC PRIVATE KEY-----\nK\n-----END EC PRIVATE KEY-----\n"
#define CA_64 "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCkNBCi0tLS0tRU5EIENFUlRJRklDQVRFLS0tLS0K"
#define KEY_64                                                                                     \
    "LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS0tLS0tCksKLS0tLS1FTkQgRUMgUFJJVkFURSBLRVktLS0tLQo="
#define ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount/"

/* --- pods --- */

static void pod(machine *m)
{
    begin(m);
    set(m, "KUBERNETES_SERVICE_HOST", "10.0.0.1");
    set(m, "KUBERNETES_SERVICE_PORT", "6443");
    file(m, ACCOUNT "token", "abc.def\n");
    file(m, ACCOUNT "ca.crt", CA);
    file(m, ACCOUNT "namespace", "search");
}

static void a_pod_has_a_service_account(void **state)
{
    (void)state;
    machine m;
    kube_config c;
    kube_error err;
    pod(&m);
    assert_int_equal(kube_config_in_pod(&m.w.env, &m.from), 1);
    assert_int_equal(kube_config_pod(&m.w.env, &m.from, &c, &err), 0);
    assert_string_equal(c.server, "https://10.0.0.1:6443");
    assert_string_equal(c.token_file, ACCOUNT "token");
    assert_null(c.token);
    assert_string_equal(c.ca_pem, CA);
    assert_string_equal(c.ca_file, ACCOUNT "ca.crt");
    assert_string_equal(c.ns, "search");
    assert_int_equal(c.insecure, 0);
    kube_config_clear(&m.w.env, &c);
    set(&m, "KUBERNETES_SERVICE_HOST", "fd00::1");
    assert_int_equal(kube_config_pod(&m.w.env, &m.from, &c, &err), 0);
    assert_string_equal(c.server, "https://[fd00::1]:6443");
    kube_config_clear(&m.w.env, &c);
    rig_fini(&m.w);
}

static void pod_fails(machine *m, int32_t rc, const char *says)
{
    kube_config c;
    kube_error err;
    assert_int_equal(kube_config_pod(&m->w.env, &m->from, &c, &err), rc);
    if (!strstr(err.text, says)) fail_msg("\"%s\" lacks \"%s\"", err.text, says);
    rig_fini(&m->w);
}

static void a_pod_that_lacks_something_says_what(void **state)
{
    (void)state;
    machine m;
    begin(&m);
    assert_int_equal(kube_config_in_pod(&m.w.env, &m.from), 0);
    pod_fails(&m, QD_E_NOTFOUND, "KUBERNETES_SERVICE_HOST");
    pod(&m);
    set(&m, "KUBERNETES_SERVICE_PORT", "70000");
    pod_fails(&m, QD_E_CONFIG, "KUBERNETES_SERVICE_PORT");
    pod(&m);
    set(&m, "KUBERNETES_SERVICE_HOST", "a b");
    pod_fails(&m, QD_E_CONFIG, "KUBERNETES_SERVICE_HOST");
    pod(&m);
    file(&m, ACCOUNT "token", NULL);
    assert_int_equal(kube_config_in_pod(&m.w.env, &m.from), 0);
    pod_fails(&m, QD_E_PERMISSION, ACCOUNT "token may not be read");
    pod(&m);
    file(&m, ACCOUNT "token", "a\r\nX-Injected: 1");
    pod_fails(&m, QD_E_CONFIG, "holds no token");
    pod(&m);
    file(&m, ACCOUNT "token", " \n");
    pod_fails(&m, QD_E_CONFIG, "holds no token");
    pod(&m);
    file(&m, ACCOUNT "ca.crt", "nothing");
    pod_fails(&m, QD_E_CONFIG, "ca.crt holds no certificate");
    pod(&m);
    file(&m, ACCOUNT "namespace", "Not/A/Label");
    pod_fails(&m, QD_E_CONFIG, "namespace");
}

/* --- kubeconfigs --- */

#define HEAD "apiVersion: v1\nkind: Config\ncurrent-context: main\n"
#define CONTEXTS "contexts:\n- name: main\n  context: {cluster: c, user: u, namespace: team}\n"
#define CLUSTERS                                                                                   \
    "clusters:\n- cluster:\n    server: https://api.example:6443/\n"                               \
    "    certificate-authority-data: " CA_64 "\n  name: c\n"
#define USERS                                                                                      \
    "users:\n- name: u\n  user:\n    client-certificate-data: " CA_64                              \
    "\n    client-key-data: " KEY_64 "\n"

static void files_are_read(void **state)
{
    (void)state;
    machine m;
    kube_config c;
    kube_error err;
    begin(&m);
    file(&m, "/k/config", HEAD CONTEXTS CLUSTERS USERS);
    assert_int_equal(kube_config_files(&m.w.env, &m.from, "/k/config", NULL, &c, &err), 0);
    assert_string_equal(c.server, "https://api.example:6443");
    assert_string_equal(c.ca_pem, CA);
    assert_string_equal(c.cert_pem, CA);
    assert_string_equal(c.key_pem, KEY);
    assert_string_equal(c.ns, "team");
    assert_string_equal(c.source, "/k/config, context main");
    assert_null(c.token);
    kube_config_clear(&m.w.env, &c);
    /* JSON, another context, no user, no namespace, no authority */
    file(&m, "/k/json",
         "{\"current-context\": \"no\", \"contexts\": [{\"name\": \"two\", \"context\":\n"
         "\t{\"cluster\": \"x\"}}], \"clusters\": [{\"name\": \"x\", \"cluster\": {\"server\":\n"
         "\t\"http://[::1]:8001/prefix//\"}}], \"users\": null}");
    assert_int_equal(kube_config_files(&m.w.env, &m.from, "/k/json", "two", &c, &err), 0);
    assert_string_equal(c.server, "http://[::1]:8001/prefix");
    assert_string_equal(c.ns, "default");
    assert_null(c.ca_pem);
    kube_config_clear(&m.w.env, &c);
    /* files beside it, a token, flags, anchors, comments */
    file(&m, "/k/files",
         "# a comment\ncurrent-context: \"a\"\npreferences: {}\n"
         "clusters:\n- name: 'c'\n  cluster: &c\n    server: \"https://1.2.3.4\"\n"
         "    certificate-authority: pki/ca.crt\n    tls-server-name: api\n"
         "    insecure-skip-tls-verify: false\n- {name: d, cluster: *c}\n"
         "contexts:\n- name: a\n  context:\n    cluster: d\n    user: u\n"
         "users:\n- name: u\n  user:\n    token: to.ken\n    client-certificate: /abs/crt\n"
         "    client-key: key\n");
    file(&m, "/k/pki/ca.crt", CA);
    file(&m, "/abs/crt", CA);
    file(&m, "/k/key", KEY);
    assert_int_equal(kube_config_files(&m.w.env, &m.from, "/k/files", NULL, &c, &err), 0);
    assert_string_equal(c.ca_pem, CA);
    assert_string_equal(c.key_pem, KEY);
    assert_string_equal(c.token, "to.ken");
    assert_string_equal(c.tls_server_name, "api");
    kube_config_clear(&m.w.env, &c);
    rig_fini(&m.w);
}

static void of_several_files_the_first_wins(void **state)
{
    (void)state;
    machine m;
    kube_config c;
    kube_error err;
    begin(&m);
    file(&m, "/a/one",
         "current-context: main\nclusters: []\nusers:\n- name: u\n  user: {tokenFile: t}\n");
    file(&m, "/b/two", "current-context: other\n" CONTEXTS CLUSTERS USERS);
    set(&m, "KUBECONFIG", "/not/there:/a/one::/b/two");
    set(&m, "HOME", "/h");
    assert_int_equal(kube_config_default(&m.w.env, &m.from, 1, NULL, &c, &err), 0);
    assert_string_equal(c.token_file, "/a/t"); /* relative to its own file */
    assert_null(c.cert_pem);
    assert_string_equal(c.ns, "team");
    kube_config_clear(&m.w.env, &c);
    set(&m, "KUBECONFIG", "");
    assert_int_equal(kube_config_default(&m.w.env, &m.from, 0, NULL, &c, &err), QD_E_NOTFOUND);
    assert_int_equal(kube_config_default(&m.w.env, &m.from, 1, NULL, &c, &err), QD_E_NOTFOUND);
    assert_non_null(strstr(err.text, "/h/.kube/config"));
    file(&m, "/h/.kube/config", HEAD CONTEXTS CLUSTERS USERS);
    assert_int_equal(kube_config_default(&m.w.env, &m.from, 1, NULL, &c, &err), 0);
    assert_string_equal(c.cert_pem, CA);
    kube_config_clear(&m.w.env, &c);
    rig_fini(&m.w);
}

/* What a bad file is refused with: its own name first. */
static void refused(const char *text, const char *says)
{
    machine m;
    kube_config c = {0};
    kube_error err = {""};
    begin(&m);
    file(&m, "/k/config", text);
    file(&m, "/k/secret", NULL);
    file(&m, "/k/text", "no PEM");
    assert_int_not_equal(kube_config_files(&m.w.env, &m.from, "/k/config", NULL, &c, &err), 0);
    if (!strstr(err.text, says) || !strstr(err.text, "/k/config"))
        fail_msg("\"%s\" lacks \"%s\"", err.text, says);
    assert_null(c.server);
    rig_fini(&m.w);
}

#define ONE(cluster, user)                                                                         \
    HEAD CONTEXTS "clusters: [{name: c, cluster: " cluster "}]\n"                                  \
                  "users: [{name: u, user: " user "}]\n"
#define USER(user) ONE("{server: 'https://a'}", user)

static void bad_files_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } all[] = {
        {"", "empty"},
        {"[]", "no kubeconfig"},
        {"text", "no kubeconfig"},
        {"{\"a\": ", "line"},
        {"a: [1, 2", "line"},
        {"a: b: c", "line 1"},
        {"a: 1\n\tb: 2\n", "line 2"},
        {"a: 1\na: 2\n", "line 2: a key stands twice"},
        {"? [x]\n: 1\n", "a key that is no text"},
        {"a: &x [*x]\n", "nested too deeply"},
        {"a: *none\n", "line"},
        {"clusters: []\n", "current-context is not set"},
        {"current-context: [x]\n", "current-context: a text"},
        {"current-context: gone\n", "contexts: there is none named \"gone\""},
        {HEAD "contexts: 7\n", "contexts: a list is expected"},
        {HEAD "contexts: [{name: main}]\n", "contexts[main].context: an object"},
        {HEAD "contexts: [{name: main, context: {}}]\n", "contexts[main].cluster: it is not set"},
        {HEAD "contexts: [{name: main, context: {cluster: c, namespace: A_B}}]\n",
         "contexts[main].namespace"},
        {HEAD CONTEXTS, "clusters: there is none named \"c\""},
        {HEAD CONTEXTS CLUSTERS, "users: there is none named \"u\""},
        {USER("7"), "users[u].user: an object"},
        {ONE("{}", "{}"), "clusters[c].server: it is not set"},
        {ONE("{server: [x]}", "{}"), "clusters[c].server: a text"},
        {ONE("{server: 'api:6443'}", "{}"), "clusters[c].server: it has to begin with https://"},
        {ONE("{server: 'ftp://a'}", "{}"), "clusters[c].server"},
        {ONE("{server: 'https://'}", "{}"), "clusters[c].server: it names no host"},
        {ONE("{server: 'https://a:0'}", "{}"), "clusters[c].server"},
        {ONE("{server: 'https://a:65536'}", "{}"), "clusters[c].server"},
        {ONE("{server: 'https://a:64b'}", "{}"), "clusters[c].server"},
        {ONE("{server: 'https://[::1'}", "{}"), "clusters[c].server"},
        {ONE("{server: 'https://u:p@a'}", "{}"), "clusters[c].server"},
        {ONE("{server: 'https://a?x'}", "{}"), "clusters[c].server"},
        {ONE("{server: \"https://a\\r\\nX: 1\"}", "{}"), "clusters[c].server"},
        {ONE("{server: 'https://a', proxy-url: 'http://p'}", "{}"), "clusters[c].proxy-url"},
        {ONE("{server: 'https://a', tls-server-name: 'a:1'}", "{}"), "clusters[c].tls-server-name"},
        {ONE("{server: 'https://a', insecure-skip-tls-verify: maybe}", "{}"),
         "clusters[c].insecure-skip-tls-verify: true or false"},
        {ONE("{server: 'https://a', insecure-skip-tls-verify: true, "
             "certificate-authority-data: " CA_64 "}",
             "{}"),
         "clusters[c].insecure-skip-tls-verify: it is set together"},
        {ONE("{server: 'https://a', certificate-authority-data: '%%%'}", "{}"),
         "clusters[c].certificate-authority-data: this is no base64"},
        {ONE("{server: 'https://a', certificate-authority-data: 'AAAA'}", "{}"),
         "clusters[c].certificate-authority-data: there is a NUL"},
        {ONE("{server: 'https://a', certificate-authority-data: 'YWJj'}", "{}"),
         "clusters[c].certificate-authority-data: this is no PEM"},
        {ONE("{server: 'https://a', certificate-authority: gone}", "{}"),
         "clusters[c].certificate-authority: the file /k/gone does not exist"},
        {ONE("{server: 'https://a', certificate-authority: secret}", "{}"),
         "the file /k/secret may not be read"},
        {ONE("{server: 'https://a', certificate-authority: text}", "{}"), "no PEM"},
        {USER("{exec: {command: aws}}"), "users[u].exec: plugins that fetch credentials"},
        {USER("{auth-provider: {name: gcp}}"), "users[u].auth-provider: providers"},
        {USER("{username: a}"), "users[u].username: Kubernetes no longer"},
        {USER("{password: a}"), "users[u].password"},
        {USER("{as: admin}"), "users[u].as: impersonation"},
        {USER("{as-groups: [a]}"), "users[u].as-groups"},
        {USER("{token: \"a\\nb\"}"), "users[u].token: this is no token"},
        {USER("{token: [a]}"), "users[u].token: a text"},
        {USER("{client-certificate-data: " CA_64 "}"), "users[u].client-key"},
        {USER("{client-key-data: " KEY_64 "}"), "users[u].client-certificate"},
        {USER("{client-certificate-data: " CA_64 ", client-key-data: " CA_64 "}"),
         "users[u].client-key-data: this is no PEM"},
        {ONE("{server: 'http://a.example'}", "{token: x}"), "without TLS"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) refused(all[i].text, all[i].says);
}

static void files_that_are_too_large_or_secret_are_refused(void **state)
{
    (void)state;
    machine m;
    kube_config c;
    kube_error err;
    begin(&m);
    char *big = malloc(KUBE_CONFIG_FILE_MAX + 2);
    memset(big, ' ', KUBE_CONFIG_FILE_MAX + 1);
    big[KUBE_CONFIG_FILE_MAX + 1] = 0;
    file(&m, "/big", big);
    file(&m, "/secret", NULL);
    assert_int_equal(kube_config_files(&m.w.env, &m.from, "/big", NULL, &c, &err), QD_E_TOO_LARGE);
    assert_non_null(strstr(err.text, "/big: the file is larger than 4 MiB"));
    assert_int_equal(kube_config_files(&m.w.env, &m.from, "/none:/secret", NULL, &c, &err),
                     QD_E_PERMISSION);
    assert_non_null(strstr(err.text, "/secret: the file may not be read"));
    assert_int_equal(kube_config_files(&m.w.env, &m.from, "", NULL, &c, &err), QD_E_NOTFOUND);
    /* aliases that would make millions of values of a few lines */
    free(big);
    file(&m, "/bomb",
         "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
         "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
         "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n");
    assert_int_equal(kube_config_files(&m.w.env, &m.from, "/bomb", NULL, &c, &err), QD_E_CONFIG);
    assert_non_null(strstr(err.text, "too many values"));
    rig_fini(&m.w);
}

static void the_machine_itself_is_read(void **state)
{
    (void)state;
    rig w;
    char *text = NULL;
    char path[] = "/tmp/kube_config_XXXXXX";
    size_t n = 0;
    rig_init(&w);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *f = fdopen(fd, "w");
    for (int i = 0; i < 5000; i++) fprintf(f, "%04d", i);
    fclose(f);
    const kube_sources *s = &kube_sources_system;
    assert_int_equal(s->read(s->arg, &w.env, path, 20000, &text, &n), 0);
    assert_int_equal(n, 20000);
    assert_int_equal(text[20000], 0);
    assert_memory_equal(text + 19996, "4999", 4);
    kube_free(&w.env, text);
    assert_int_equal(s->read(s->arg, &w.env, path, 19999, &text, &n), QD_E_TOO_LARGE);
    remove(path);
    assert_int_equal(s->read(s->arg, &w.env, path, 20000, &text, &n), QD_E_NOTFOUND);
    assert_int_equal(s->read(s->arg, &w.env, "/", 20000, &text, &n), QD_E_STATE);
    assert_non_null(s->variable(s->arg, "PATH"));
    rig_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pod_has_a_service_account),
        cmocka_unit_test(a_pod_that_lacks_something_says_what),
        cmocka_unit_test(files_are_read),
        cmocka_unit_test(of_several_files_the_first_wins),
        cmocka_unit_test(bad_files_are_refused),
        cmocka_unit_test(files_that_are_too_large_or_secret_are_refused),
        cmocka_unit_test(the_machine_itself_is_read),
    };
    return unit_run(tests);
}
