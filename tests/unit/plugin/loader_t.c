/*
 * loader_t.c: what an administrator sees of good and bad plugins: they run, or they are refused
 * with file, wanted, found and remedy, and whoever needs them is told.
 */
#include "plugin/host_int.h"
#include "unit/unit.h"
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/qd-loader-XXXXXX";

static char *read_whole(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    static char bytes[1 << 20];
    *n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    assert_true(*n > 0 && *n < sizeof bytes);
    return bytes;
}

static void write_whole(const char *name, const char *bytes, size_t n)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s.so", folder, name);
    unlink(path);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
    assert_int_equal(chmod(path, 0644), 0);
}

/* Puts the built toy into the folder under another name, or its own. */
static char *place(const char *toy, const char *name, size_t *n)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s.so", TOY_DIR, toy);
    size_t len;
    char *bytes = read_whole(path, &len);
    write_whole(name, bytes, len);
    if (n) *n = len;
    return bytes;
}

static int empty_folder(void **state)
{
    (void)state;
    char cmd[600];
    assert_int_equal(chmod(folder, 0755), 0);
    snprintf(cmd, sizeof cmd, "rm -f %s/*", folder);
    return system(cmd);
}

typedef struct node {
    qd_plugin_host *host;
    qd_err err;
    int rc;
} node;

static qd_plugin_host_config basic(const qd_str *allow, size_t n)
{
    static qd_str path;
    path = qd_str_c(folder);
    return (qd_plugin_host_config){
        .env = qd_env_system(), .paths = &path, .npaths = 1, .allow = allow, .nallow = n};
}

static void load(node *nd, const qd_plugin_host_config *config)
{
    qd_err_init(&nd->err);
    assert_int_equal(qd_plugin_host_open(config, &nd->host, NULL), 0);
    nd->rc = qd_plugin_host_load(nd->host, &nd->err);
}

static void load_names(node *nd, const char *a, const char *b)
{
    qd_str allow[2] = {qd_str_c(a), qd_str_c(b ? b : a)};
    qd_plugin_host_config config = basic(allow, b ? 2 : 1);
    load(nd, &config);
}

static void end(node *nd)
{
    qd_plugin_host_close(nd->host);
    qd_err_fini(&nd->err);
}

static qd_plugin_info info_of(const node *nd, const char *name)
{
    qd_plugin_info info;
    for (size_t i = 0; i < qd_plugin_count(nd->host); i++) {
        qd_plugin_info_get(nd->host, i, &info);
        if (strcmp(info.name, name) == 0) return info;
    }
    fail_msg("no plugin %s", name);
    return info;
}

/* The reason names the file and all of the parts given. */
static void refused(const node *nd, const char *name, const char *const *parts)
{
    qd_plugin_info info = info_of(nd, name);
    if (info.state != QD_PLUGIN_REFUSED) fail_msg("%s was not refused", name);
    if (!strstr(info.reason, folder)) fail_msg("no file in: %s", info.reason);
    for (; *parts; parts++)
        if (!strstr(info.reason, *parts)) fail_msg("no \"%s\" in: %s", *parts, info.reason);
}
#define REFUSED(nd, name, ...) refused((nd), (name), (const char *const[]){__VA_ARGS__, NULL})

static void a_good_plugin_runs(void **state)
{
    (void)state;
    place("toy-good", "toy-good", NULL);
    node nd;
    load_names(&nd, "toy-good", NULL);
    assert_int_equal(nd.rc, 0);
    assert_int_equal(qd_plugin_host_start(nd.host, NULL), 0);
    qd_plugin_info info = info_of(&nd, "toy-good");
    assert_int_equal(info.state, QD_PLUGIN_STARTED);
    assert_string_equal(info.version, "1.2.3");
    assert_int_equal(strlen(info.sha256), 64);
    qd_self *self;
    const void *vt;
    assert_non_null(qd_plugin_find(nd.host, QD_KIND_TOKEN_FILTER, QD_STR("toy-good"), &self));
    assert_ptr_equal(self, info.self);
    assert_int_equal(
        qd_plugin_need(nd.host, QD_KIND_TOKEN_FILTER, QD_STR("toy-good"), "x", &vt, &self, NULL),
        0);
    assert_null(qd_plugin_find(nd.host, QD_KIND_TOKENIZER, QD_STR("toy-good"), NULL));
    qd_plugin_host_stop(nd.host);
    assert_int_equal(info_of(&nd, "toy-good").state, QD_PLUGIN_STOPPED);
    end(&nd);
}

static void one_defect_one_reason(void **state)
{
    (void)state;
    static const struct {
        const char *toy, *parts[5];
    } cases[] = {
        {"toy-major", {"wrong ABI major", "wanted 1.x", "found 2.6", "rebuild"}},
        {"toy-minor",
         {"too new an ABI minor", "wanted 1.6 or older", "found 1.99", "QD_ABI_TARGET=6"}},
        {"toy-nonote", {"no note", "QD_PLUGIN_NOTE"}},
        {"toy-noentry", {"missing symbol", "wanted qd_plugin_entry", "QD_PLUGIN_ENTRY"}},
        {"toy-undefined", {"missing symbol", "toy_nowhere", "-z,defs"}},
        {"toy-initfail", {"init failed", "the toy is broken"}},
        {"toy-lonely", {"dependency missing", "wanted plugin [toy-absent]", "found none"}},
        {"toy-noslot", {"lacks the slot run", "found NULL"}},
        {"toy-badflag", {"unknown flags 0x100000"}},
        {"toy-kind-minor", {"kind token_filter does not fit", "wanted 0.1", "found 0.9"}},
        {"toy-kind-lies", {"wanted version 0.1 of the kind", "found 0.9"}},
        {"toy-unstable", {"unstable (0.1)", "plugins.allow_unstable: true", "found build id []"}},
        {"toy-required",
         {"bad settings", "[plugin.toy-required.owner] is required", "whose it is"}},
        {"toy-lies",
         {"note and descriptor differ", "wanted toy-lies 1.2.3", "found toy-lies 9.9.9"}},
        {"toy-nouv", {"has libuv linked in", "wanted libuv.so.1"}},
    };
    for (size_t i = 0; i < QD_COUNT_OF(cases); i++) {
        empty_folder(NULL);
        place(cases[i].toy, cases[i].toy, NULL);
        node nd;
        load_names(&nd, cases[i].toy, NULL);
        assert_int_equal(nd.rc, 0);
        refused(&nd, cases[i].toy, cases[i].parts);
        assert_null(qd_plugin_find(nd.host, QD_KIND_TOKEN_FILTER, qd_str_c(cases[i].toy), NULL));
        end(&nd);
    }
}

static void bad_files_are_refused(void **state)
{
    (void)state;
    size_t n;
    char *bytes = place("toy-good", "toy-good", &n);
    node nd;

    write_whole("toy-good", bytes, n / 2);
    load_names(&nd, "toy-good", NULL);
    REFUSED(&nd, "toy-good", "truncated ELF file", "found a file of");
    end(&nd);

    write_whole("toy-good", "hello", 5);
    load_names(&nd, "toy-good", NULL);
    REFUSED(&nd, "toy-good", "not an ELF file");
    end(&nd);

    bytes = place("toy-good", "toy-good", &n);
    bytes[18] = (char)(bytes[18] == EM_X86_64 ? EM_AARCH64 & 0xff : EM_X86_64);
    write_whole("toy-good", bytes, n);
    load_names(&nd, "toy-good", NULL);
    REFUSED(&nd, "toy-good", "foreign architecture", "wanted", "found");
    end(&nd);

    bytes = place("toy-good", "toy-good", &n);
    char *version = memmem(bytes, n, "GLIBC_2.2.5", 11);
    if (version) {
        memcpy(version, "GLIBC_2.999", 11);
        write_whole("toy-good", bytes, n);
        load_names(&nd, "toy-good", NULL);
        REFUSED(&nd, "toy-good", "newer C library needed", "wanted GLIBC_2.999", "found 2.");
        end(&nd);
    }

    load_names(&nd, "toy-elsewhere", NULL);
    REFUSED(&nd, "toy-elsewhere", "found no such file");
    end(&nd);
}

static void who_may_write_is_looked_at(void **state)
{
    (void)state;
    char path[512], other[512];
    place("toy-good", "toy-good", NULL);
    snprintf(path, sizeof path, "%s/toy-good.so", folder);
    node nd;
    assert_int_equal(chmod(path, 0666), 0);
    load_names(&nd, "toy-good", NULL);
    REFUSED(&nd, "toy-good", "file is world-writable", "wanted mode 0644", "found 0666",
            "chmod go-w");
    end(&nd);

    assert_int_equal(chmod(path, 0664), 0);
    load_names(&nd, "toy-good", NULL);
    REFUSED(&nd, "toy-good", "file is group-writable");
    end(&nd);

    qd_str name = QD_STR("toy-good");
    qd_plugin_host_config config = basic(&name, 1);
    config.build_tree = true;
    load(&nd, &config);
    assert_int_equal(info_of(&nd, "toy-good").state, QD_PLUGIN_LOADED);
    end(&nd);

    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(chmod(folder, 0777), 0);
    load_names(&nd, "toy-good", NULL);
    REFUSED(&nd, "toy-good", "folder is world-writable");
    end(&nd);
    assert_int_equal(chmod(folder, 0755), 0);

    snprintf(other, sizeof other, "%s/toy-real", folder);
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(symlink(other, path), 0);
    load_names(&nd, "toy-good", NULL);
    REFUSED(&nd, "toy-good", "symbolic link");
    end(&nd);

    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0); /* nobody writes into it: nobody waits for it */
    load_names(&nd, "toy-good", NULL);
    REFUSED(&nd, "toy-good", "wanted a regular file, found another kind");
    end(&nd);
}

static void only_allowed_and_pinned_ones(void **state)
{
    (void)state;
    place("toy-good", "toy-good", NULL);
    place("toy-twin", "toy-twin", NULL);
    node nd;
    load_names(&nd, "toy-good", NULL);
    REFUSED(&nd, "toy-twin", "not allowed", "plugins.allow");
    char sha[65];
    snprintf(sha, sizeof sha, "%s", info_of(&nd, "toy-good").sha256);
    end(&nd);

    qd_str name = QD_STR("toy-good");
    qd_plugin_host_config config = basic(&name, 1);
    qd_pair pin = {name, {sha, 64}};
    config.sha256 = &pin;
    config.nsha256 = 1;
    load(&nd, &config);
    assert_int_equal(info_of(&nd, "toy-good").state, QD_PLUGIN_LOADED);
    end(&nd);
    sha[0] = sha[0] == '0' ? '1' : '0';
    load(&nd, &config);
    REFUSED(&nd, "toy-good", "plugins.sha256", "wanted", sha);
    end(&nd);
}

/* The folder of trusted keys beside the plugins, with a fresh key; its private half signs. */
static void sign(const char *toy, const char *signer)
{
    char cmd[2000];
    snprintf(cmd, sizeof cmd,
             "cd %s && mkdir -p trust && chmod 755 trust && "
             "{ [ -f %s.key ] || openssl genpkey -algorithm ed25519 -out %s.key; } && "
             "openssl pkey -in %s.key -pubout -out %s.pub && "
             "openssl pkeyutl -sign -inkey %s.key -rawin -in %s.so -out %s.so.sig 2>/dev/null && "
             "chmod 644 %s.pub",
             folder, signer, signer, signer, signer, signer, toy, toy, signer);
    assert_int_equal(system(cmd), 0);
}

static void signatures_are_checked(void **state)
{
    (void)state;
    char trust[512], cmd[1200];
    size_t n;
    char *bytes = place("toy-good", "toy-good", &n);
    qd_str name = QD_STR("toy-good");
    qd_plugin_host_config config = basic(&name, 1);
    node nd;
    snprintf(trust, sizeof trust, "%s/trust", folder);
    config.require_signature = true;
    config.trust_dir = qd_str_c(trust);
    load(&nd, &config);
    REFUSED(&nd, "toy-good", "no signature", "plugins.require_signature");
    end(&nd);

    sign("toy-good", "alice");
    load(&nd, &config);
    REFUSED(&nd, "toy-good", "bad signature", "none of its 0 keys");
    end(&nd);

    snprintf(cmd, sizeof cmd, "cp %s/alice.pub %s/alice.pem", folder, trust);
    assert_int_equal(system(cmd), 0);
    load(&nd, &config);
    assert_int_equal(info_of(&nd, "toy-good").state, QD_PLUGIN_LOADED);
    end(&nd);

    sign("toy-good", "mallory");
    load(&nd, &config);
    REFUSED(&nd, "toy-good", "bad signature", "none of its 1 keys");
    end(&nd);

    sign("toy-good", "alice");
    bytes[n - 1] ^= 1; /* one bit after signing */
    write_whole("toy-good", bytes, n);
    load(&nd, &config);
    REFUSED(&nd, "toy-good", "bad signature");
    end(&nd);
    assert_int_equal(chmod(trust, 0777), 0);
    load(&nd, &config);
    REFUSED(&nd, "toy-good", "folder is world-writable");
    end(&nd);
    snprintf(cmd, sizeof cmd, "rm -rf %s", trust);
    assert_int_equal(system(cmd), 0);
}

static void unstable_ones_need_a_word(void **state)
{
    (void)state;
    place("toy-unstable", "toy-unstable", NULL);
    qd_str name = QD_STR("toy-unstable");
    qd_plugin_host_config config = basic(&name, 1);
    config.allow_unstable = true;
    node nd;
    load(&nd, &config);
    assert_int_equal(info_of(&nd, "toy-unstable").state, QD_PLUGIN_LOADED);
    end(&nd);
}

static void order_follows_dependencies(void **state)
{
    (void)state;
    place("toy-good", "toy-good", NULL);
    place("toy-twin", "toy-twin", NULL);
    node nd;
    load_names(&nd, "toy-twin", "toy-good"); /* twin needs good */
    qd_plugin_info info;
    qd_plugin_info_get(nd.host, 0, &info);
    assert_string_equal(info.name, "toy-good");
    qd_plugin_info_get(nd.host, 1, &info);
    assert_string_equal(info.name, "toy-twin");
    end(&nd);

    place("toy-loop-a", "toy-loop-a", NULL);
    place("toy-loop-b", "toy-loop-b", NULL);
    load_names(&nd, "toy-loop-a", "toy-loop-b");
    REFUSED(&nd, "toy-loop-b", "cyclic dependencies", "toy-loop-a -> toy-loop-b -> toy-loop-a");
    REFUSED(&nd, "toy-loop-a", "cyclic dependencies");
    end(&nd);

    place("toy-old-dep", "toy-old-dep", NULL);
    load_names(&nd, "toy-old-dep", "toy-good");
    REFUSED(&nd, "toy-old-dep", "dependency too old", "wanted plugin [toy-good] 1.10.0",
            "found 1.2.3");
    end(&nd);

    place("toy-initfail", "toy-initfail", NULL);
    place("toy-after-fail", "toy-after-fail", NULL);
    load_names(&nd, "toy-after-fail", "toy-initfail");
    REFUSED(&nd, "toy-after-fail", "found it refused", "the toy is broken");
    end(&nd);
}

static void names_are_taken_once(void **state)
{
    (void)state;
    place("toy-good", "toy-good", NULL);
    place("toy-rival", "toy-rival", NULL);
    place("toy-good", "toy-copy", NULL);
    node nd;
    load_names(&nd, "toy-good", "toy-rival");
    REFUSED(&nd, "toy-rival", "duplicate name", "already provided by toy-good");
    end(&nd);
    load_names(&nd, "toy-good", "toy-copy");
    REFUSED(&nd, "toy-copy", "duplicate name", "toy-good.so");
    end(&nd);
    char path[512];
    snprintf(path, sizeof path, "%s/toy-good.so", folder);
    assert_int_equal(unlink(path), 0);
    load_names(&nd, "toy-copy", NULL);
    REFUSED(&nd, "toy-copy", "name differs", "wanted [toy-copy]", "found [toy-good]");
    end(&nd);
}

static void a_failing_start_stops_the_node(void **state)
{
    (void)state;
    place("toy-startfail", "toy-startfail", NULL);
    node nd;
    load_names(&nd, "toy-startfail", NULL);
    assert_int_equal(qd_plugin_host_start(nd.host, &nd.err), QD_E_IO);
    assert_non_null(
        strstr(qd_err_reason(&nd.err), "[toy-startfail] did not start: the toy has no battery"));
    end(&nd);
}

static void whoever_needs_it_is_told(void **state)
{
    (void)state;
    place("toy-major", "toy-major", NULL);
    node nd;
    load_names(&nd, "toy-major", NULL);
    const void *vt;
    qd_self *self;
    assert_int_equal(qd_plugin_need(nd.host, QD_KIND_TOKEN_FILTER, QD_STR("toy-major"),
                                    "index.analysis", &vt, &self, &nd.err),
                     QD_E_PLUGIN);
    assert_non_null(strstr(qd_err_reason(&nd.err),
                           "index.analysis wants token_filter [toy-major], but plugin "
                           "[toy-major] was refused"));
    assert_non_null(strstr(qd_err_reason(&nd.err), "wrong ABI major"));
    end(&nd);

    qd_str name = QD_STR("toy-major");
    qd_pair set = {QD_STR("plugin.toy-major.level"), QD_STR("4")};
    qd_plugin_host_config config = basic(&name, 1);
    config.settings = &set;
    config.nsettings = 1;
    load(&nd, &config);
    assert_int_equal(nd.rc, QD_E_CONFIG);
    assert_non_null(strstr(qd_err_reason(&nd.err), "needs plugin [toy-major], which was refused"));
    end(&nd);
}

static qd_plugin_host_config with_settings(const qd_pair *pairs, size_t n)
{
    static const qd_str name = {"toy-good", 8};
    qd_plugin_host_config config = basic(&name, 1);
    config.settings = pairs;
    config.nsettings = n;
    return config;
}

static void settings_arrive_typed(void **state)
{
    (void)state;
    place("toy-good", "toy-good", NULL);
    const qd_pair pairs[] = {
        {QD_STR("plugin.toy-good.level"), QD_STR("7")},
        {QD_STR("plugin.toy-good.mode"), QD_STR("fancy")},
        {QD_STR("plugin.toy-good.size"), QD_STR("2kb")},
        {QD_STR("plugin.toy-good.words"), QD_STR("hello")},
        {QD_STR("plugin.toy-good.words"), QD_STR("a,b")},
        {QD_STR("plugin.toy-good.on"), QD_STR("false")},
        {QD_STR("plugin.toy-good.share"), QD_STR("0.25")},
    };
    qd_plugin_host_config config = with_settings(pairs, QD_COUNT_OF(pairs));
    node nd;
    load(&nd, &config);
    assert_int_equal(nd.rc, 0);
    qd_self *self = info_of(&nd, "toy-good").self;
    int64_t i;
    double f;
    qd_str s;
    assert_int_equal(qdi_svc_conf.i64(self, "level", &i), 0);
    assert_int_equal(i, 7);
    assert_int_equal(qdi_svc_conf.i64(self, "mode", &i), 0);
    assert_int_equal(i, 1);
    assert_int_equal(qdi_svc_conf.i64(self, "size", &i), 0);
    assert_int_equal(i, 2048);
    assert_int_equal(qdi_svc_conf.i64(self, "wait", &i), 0);
    assert_int_equal(i, 1500000000);
    assert_int_equal(qdi_svc_conf.i64(self, "on", &i), 0);
    assert_int_equal(i, 0);
    assert_int_equal(qdi_svc_conf.f64(self, "share", &f), 0);
    assert_true(f == 0.25);
    assert_int_equal(qdi_svc_conf.list(self, "words", 1, &s), 0);
    assert_true(qd_str_is(s, "a,b"));
    assert_int_equal(qdi_svc_conf.list(self, "words", 2, &s), QD_E_NOTFOUND);
    assert_int_equal(qdi_svc_conf.str(self, "key", &s), QD_E_NOTFOUND);
    assert_int_equal(qdi_svc_conf.str(self, "nothing", &s), QD_E_NOTFOUND);
    end(&nd);
}

static void bad_settings_are_named(void **state)
{
    (void)state;
    place("toy-good", "toy-good", NULL);
    static const struct {
        const char *key, *value, *text;
    } cases[] = {
        {"plugin.toy-good.levle", "3",
         "unknown setting [plugin.toy-good.levle], did you mean [plugin.toy-good.level]?"},
        {"plugin.toy-good.level", "10", "plugin.toy-good.level: wanted 1 to 9, found [10]"},
        {"plugin.toy-good.level", "x", "plugin.toy-good.level: wanted an integer, found [x]"},
        {"plugin.toy-good.mode", "odd", "wanted one of the values [plain|fancy], found [odd]"},
        {"plugin.toy-good.size", "2mb", "wanted 0 to 1048576 bytes, found [2mb]"},
        {"plugin.toy-good.size", "2xb", "plugin.toy-good.size"},
        {"plugin.toy-good.wait", "1week", "plugin.toy-good.wait"},
        {"plugin.toy-good.on", "yes", "wanted true or false, found [yes]"},
        {"plugin.toy-god.on", "true", "there is no plugin [toy-god]"},
    };
    for (size_t i = 0; i < QD_COUNT_OF(cases); i++) {
        qd_pair pair = {qd_str_c(cases[i].key), qd_str_c(cases[i].value)};
        qd_plugin_host_config config = with_settings(&pair, 1);
        node nd;
        load(&nd, &config);
        assert_int_equal(nd.rc, QD_E_CONFIG);
        if (!strstr(qd_err_reason(&nd.err), cases[i].text))
            fail_msg("no \"%s\" in: %s", cases[i].text, qd_err_reason(&nd.err));
        end(&nd);
    }
}

static void limits_name_plugins_that_are_loaded(void **state)
{
    (void)state;
    place("toy-good", "toy-good", NULL);
    place("toy-twin", "toy-twin", NULL);
    static const struct {
        const char *name, *text;
    } cases[] = {
        {"toy-good", NULL},
        {"toy-god", "unknown setting [plugins.memory.limits.toy-god]: there is no plugin "
                    "[toy-god], did you mean [toy-good]?"},
        {"toy-twin", "setting [plugins.memory.limits.toy-twin] needs plugin [toy-twin], which was "
                     "refused"},
    };
    for (size_t i = 0; i < QD_COUNT_OF(cases); i++) {
        qd_str allow = QD_STR("toy-good");
        qd_plugin_limit limit = {qd_str_c(cases[i].name), 1 << 20};
        qd_plugin_host_config config = basic(&allow, 1);
        config.limits = &limit;
        config.nlimits = 1;
        node nd;
        load(&nd, &config);
        assert_int_equal(nd.rc, cases[i].text ? QD_E_CONFIG : 0);
        if (cases[i].text && !strstr(qd_err_reason(&nd.err), cases[i].text))
            fail_msg("no \"%s\" in: %s", cases[i].text, qd_err_reason(&nd.err));
        end(&nd);
    }
}

static int check_setting(node *nd, const char *key, const char *value)
{
    qd_setting_value v = {.key = qd_str_c(key), .kind = QD_SETTING_TEXT, .text = qd_str_c(value)};
    qd_err_fini(&nd->err);
    qd_err_init(&nd->err);
    return qd_plugin_setting_check(nd->host, &v, "persistent", &nd->err);
}

/* Settings of the cluster with one value. */
static qd_settings *cluster_with(const char *key, const char *value)
{
    qd_settings *s;
    assert_int_equal(qd_settings_new(NULL, &s, NULL), 0);
    assert_int_equal(qd_settings_put(s, qd_str_c(key), qd_str_c(value), NULL), 0);
    assert_int_equal(qd_settings_seal(s, NULL), 0);
    return s;
}

static void dynamic_settings_in_two_steps(void **state)
{
    (void)state;
    place("toy-good", "toy-good", NULL);
    node nd;
    load_names(&nd, "toy-good", NULL);
    assert_int_equal(check_setting(&nd, "plugin.toy-good.label", "abc"), 0);
    assert_int_equal(check_setting(&nd, "plugin.toy-good.label", "abcd"), QD_E_ARG);
    assert_string_equal(qd_err_reason(&nd.err), "toys are short");
    assert_int_equal(check_setting(&nd, "plugin.toy-good.level", "3"), QD_E_ARG);
    assert_string_equal(qd_err_reason(&nd.err),
                        "persistent setting [plugin.toy-good.level], not dynamically updateable");
    assert_int_equal(check_setting(&nd, "plugin.toy-good.lable", "3"), QD_E_CONFIG);
    assert_non_null(strstr(qd_err_reason(&nd.err), "did you mean [plugin.toy-good.label]"));
    assert_int_equal(check_setting(&nd, "plugin.absent.label", "3"), QD_E_ARG);
    assert_non_null(strstr(qd_err_reason(&nd.err), "[plugin.absent.label], not recognized"));

    qd_self *self = info_of(&nd, "toy-good").self;
    qd_settings *a = cluster_with("plugin.toy-good.label", "abc");
    qd_settings *b = cluster_with("plugin.toy-good.label", "xyz");
    qd_str before, s;
    assert_int_equal(qdi_svc_conf.str(self, "label", &before), 0);
    for (int i = 0; i < 1000; i++) { /* values that come back take no more memory */
        qd_plugin_settings_apply(nd.host, a, NULL);
        assert_int_equal(qdi_svc_conf.str(self, "label", &s), 0);
        assert_true(qd_str_is(s, "abc"));
        qd_plugin_settings_apply(nd.host, a, b);
        assert_int_equal(qdi_svc_conf.str(self, "label", &s), 0);
        assert_true(qd_str_is(s, "xyz"));
    }
    qd_plugin_settings_apply(nd.host, NULL, NULL);
    assert_int_equal(qdi_svc_conf.str(self, "label", &s), 0);
    assert_true(qd_str_is(s, "toy") && qd_str_is(before, "toy")); /* what it had at the start */
    qd_settings_unref(a);
    qd_settings_unref(b);
    end(&nd);
}

/* A text of n bytes, all alike but for the number in front of them. */
static qd_settings *cluster_with_long(const char *key, int number, size_t n)
{
    char *text = malloc(n + 1);
    assert_non_null(text);
    memset(text, 'x', n);
    snprintf(text + n - 8, 9, "%08d", number);
    qd_settings *s = cluster_with(key, text);
    free(text);
    return s;
}

/* What a plugin has not read goes with the next value; what it has read stays, up to a limit. */
static void values_that_nobody_has_read_are_freed(void **state)
{
    (void)state;
    place("toy-good", "toy-good", NULL);
    node nd;
    load_names(&nd, "toy-good", NULL);
    qd_self *self = info_of(&nd, "toy-good").self;
    qd_str first = {NULL, 0}, s;
    for (int i = 0; i < 500; i++) {
        qd_settings *a = cluster_with_long("plugin.toy-good.label", i, 64 << 10);
        qd_plugin_settings_apply(nd.host, a, NULL);
        qd_settings_unref(a);
        assert_true(qd_account_used(&self->values_account) < 256 << 10);
    }
    int last = 0;
    for (int i = 0; i < 100; i++) {
        qd_settings *a = cluster_with_long("plugin.toy-good.label", i, 64 << 10);
        qd_plugin_settings_apply(nd.host, a, NULL);
        qd_settings_unref(a);
        assert_int_equal(qdi_svc_conf.str(self, "label", &s), 0);
        if (i == 0) first = s;
        last = atoi(s.p + s.n - 8);
    }
    assert_true(last > 40 && last < 99); /* the limit of a plugin: it keeps the last one */
    assert_string_equal(first.p + first.n - 8, "00000000");
    qd_plugin_settings_apply(nd.host, NULL, NULL);
    assert_int_equal(qdi_svc_conf.str(self, "label", &s), 0);
    assert_true(qd_str_is(s, "toy"));
    end(&nd);
}

/* Reads a setting until it is told to end. */
typedef struct reader {
    qd_self *self;
    pthread_t thread;
    _Atomic bool *end;
    uint32_t bad;
} reader;

static void *read_label(void *arg)
{
    reader *r = arg;
    qd_str s, kept = {NULL, 0};
    while (!atomic_load(r->end)) {
        r->bad += qdi_svc_conf.str(r->self, "label", &s) != 0 || s.n < 3 || s.p[s.n] != 0;
        if (!kept.p) kept = s;
        r->bad += kept.p[kept.n] != 0;
    }
    return NULL;
}

/* Others read while it changes; a worker tells the plugin, and the end waits for that. */
static void settings_change_under_their_readers(void **state)
{
    (void)state;
    place("toy-good", "toy-good", NULL);
    qd_str allow = QD_STR("toy-good");
    qd_plugin_host_config config = basic(&allow, 1);
    assert_int_equal(qd_pool_open(qd_env_system(), "generic", 2, 8, &config.pool, NULL), 0);
    node nd;
    load(&nd, &config);
    _Atomic bool ends = false;
    reader readers[2];
    for (size_t i = 0; i < 2; i++) {
        readers[i] = (reader){.self = info_of(&nd, "toy-good").self, .end = &ends};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_label, &readers[i]), 0);
    }
    for (int i = 0; i < 300; i++) {
        qd_settings *a = cluster_with_long("plugin.toy-good.label", i, 64);
        qd_plugin_settings_apply(nd.host, i % 3 ? a : NULL, NULL);
        qd_settings_unref(a);
    }
    atomic_store(&ends, true);
    for (size_t i = 0; i < 2; i++) {
        pthread_join(readers[i].thread, NULL);
        assert_int_equal(readers[i].bad, 0);
    }
    end(&nd);
    qd_pool_close(config.pool);
}

/* Built for the minor before: it sees a shorter table of the host. */
static void one_of_an_older_minor_runs(void **state)
{
    (void)state;
    place("toy-older", "toy-older", NULL);
    node nd;
    load_names(&nd, "toy-older", NULL);
    assert_int_equal(nd.rc, 0);
    assert_int_equal(info_of(&nd, "toy-older").state, QD_PLUGIN_LOADED);
    assert_int_equal(info_of(&nd, "toy-older").self->plugin.abi_minor, 5);
    assert_int_equal(qd_plugin_host_start(nd.host, &nd.err), 0);
    end(&nd);
}

/* With the n-th allocation failing, loading ends with a code or a refusal and nothing leaks. */
static void no_memory_is_an_error(void **state)
{
    (void)state;
    place("toy-good", "toy-good", NULL);
    place("toy-twin", "toy-twin", NULL);
    qd_str allow[] = {QD_STR("toy-twin"), QD_STR("toy-good")};
    qd_plugin_host_config config = basic(allow, 2);
    int64_t before = qd_account_used(&qd_account_root);
    bool whole = false;
    for (uint64_t n = 1; !whole && n < 10000; n++) {
        qd_plugin_host *h = NULL;
        qd_mem_fail_at(n, true);
        int rc = qd_plugin_host_open(&config, &h, NULL);
        if (rc == 0) rc = qd_plugin_host_load(h, NULL);
        qd_mem_fail_at(0, false);
        if (rc == 0 && qd_plugin_find(h, QD_KIND_TOKEN_FILTER, QD_STR("toy-twin"), NULL))
            whole = true;
        if (rc) assert_true(rc == QD_E_NOMEM);
        qd_plugin_host_close(h);
        assert_int_equal(qd_account_used(&qd_account_root), before);
    }
    assert_true(whole);
}

int main(void)
{
    if (!mkdtemp(folder)) return 1;
    qd_log_level_set(NULL, QD_LOG_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_good_plugin_runs, empty_folder),
        cmocka_unit_test_setup(one_defect_one_reason, empty_folder),
        cmocka_unit_test_setup(bad_files_are_refused, empty_folder),
        cmocka_unit_test_setup(who_may_write_is_looked_at, empty_folder),
        cmocka_unit_test_setup(only_allowed_and_pinned_ones, empty_folder),
        cmocka_unit_test_setup(signatures_are_checked, empty_folder),
        cmocka_unit_test_setup(unstable_ones_need_a_word, empty_folder),
        cmocka_unit_test_setup(order_follows_dependencies, empty_folder),
        cmocka_unit_test_setup(names_are_taken_once, empty_folder),
        cmocka_unit_test_setup(a_failing_start_stops_the_node, empty_folder),
        cmocka_unit_test_setup(whoever_needs_it_is_told, empty_folder),
        cmocka_unit_test_setup(settings_arrive_typed, empty_folder),
        cmocka_unit_test_setup(bad_settings_are_named, empty_folder),
        cmocka_unit_test_setup(limits_name_plugins_that_are_loaded, empty_folder),
        cmocka_unit_test_setup(dynamic_settings_in_two_steps, empty_folder),
        cmocka_unit_test_setup(values_that_nobody_has_read_are_freed, empty_folder),
        cmocka_unit_test_setup(settings_change_under_their_readers, empty_folder),
        cmocka_unit_test_setup(one_of_an_older_minor_runs, empty_folder),
        cmocka_unit_test_setup(no_memory_is_an_error, empty_folder),
    };
    int rc = unit_run(tests);
    empty_folder(NULL);
    rmdir(folder);
    return rc;
}
