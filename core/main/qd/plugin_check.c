/*
 * plugin_check.c: the conformance kit as a command. First what the bytes of the file tell, with
 * the loader's own code; then, in a child process, load, init, start, the suite of each kind, stop.
 * TAP on standard output, one numbering over both; a child that dies is one more failure.
 */
#include "base/arena.h"
#include "base/vec.h"
#include "main/args.h"
#include "main/paths.h"
#include "main/qd/plugin.h"
#include "main/qd/plugin_alone.h"
#include "plugin/conform.h"
#include "plugin/elf.h"
#include "runtime/file.h"
#include "runtime/pool.h"
#include "runtime/proc.h"
#include <stdio.h>

#define CHILD_MS_MAX 600000u
#define SECONDS_MAX 86400u
#define OUTPUT_BYTES_MAX (16u << 20)
#define FILE_BYTES_MAX (256u << 20)

typedef struct checked {
    const char *file;
    bool build_tree;
    QD_VEC(qd_pair) options;  /* for open */
    QD_VEC(qd_pair) settings; /* of the plugin, without its name */
    QD_VEC(qd_str) with;      /* plugins loaded beside it, which it looks up */
    bool only_static;
    uint32_t seconds;      /* of what is done under load */
    uint32_t told, failed; /* over all files */
} checked;

static void tell(checked *c, bool ok, const char *test, const char *why)
{
    c->told++;
    if (!ok) c->failed++;
    printf("%sok %u - %s\n", ok ? "" : "not ", c->told, test);
    if (!ok && why && *why) printf("# %s\n", why);
}

/* --- what the bytes tell --- */

/* Calls that change the whole process: the host has made them, or they would queue behind libraft.
 */
static const char *const forbidden[] = {
    "uv_queue_work",
    "uv_getaddrinfo",
    "uv_getnameinfo",
    "sqlite3_config",
    "curl_global_init_mem",
    "json_set_alloc_funcs",
    "u_setMemoryFunctions_72",
    "CRYPTO_set_mem_functions",
    "setlocale",
    "dlclose",
    "exit",
    "quick_exit",
};

static int find_forbidden(void *arg, const char *name, bool defined)
{
    const char **found = arg;
    if (defined) return 0;
    for (size_t i = 0; i < QD_COUNT_OF(forbidden); i++)
        if (strcmp(name, forbidden[i]) == 0) *found = forbidden[i];
    if (strncmp(name, "uv_fs_", 6) == 0) *found = "uv_fs_*";
    return *found != NULL;
}

static void print_facts(const qd_elf *elf, const char *sha256)
{
    const qd_note *n = &elf->note;
    printf("# %s %s, ABI %u.%u, build id [%s]\n# sha256 %s\n", n->name, n->version, n->abi_major,
           n->abi_minor, n->build_id, sha256);
    for (uint32_t i = 0; i < n->nkinds; i++) {
        const char *kind = qd_plugin_kind_name(n->kinds[i].kind);
        printf("# kind %s %u.%u\n", kind ? kind : "?", n->kinds[i].major, n->kinds[i].minor);
    }
    for (uint32_t i = 0; i < elf->nneeded; i++) printf("# needs %s\n", elf->needed[i]);
    if (elf->glibc_major) printf("# needs GLIBC_%u.%u\n", elf->glibc_major, elf->glibc_minor);
}

static void check_bytes(checked *c, const qd_elf *elf, const uint8_t *p, size_t n)
{
    char why[512];
    snprintf(why, sizeof why,
             "%u are exported: %s%s%s; build with -fvisibility=hidden and "
             "-Wl,--exclude-libs,ALL",
             elf->nexports, elf->exports[0], elf->nexports > 1 ? ", " : "",
             elf->nexports > 1 ? elf->exports[1] : "");
    tell(c, elf->nexports == 1 && elf->has_entry, "exports qd_plugin_entry and nothing else", why);
    tell(c, !elf->textrel, "no relocations in code", "TEXTREL: build with -fPIC");
    snprintf(why, sizeof why, "%s: link without -rpath", elf->rpath);
    tell(c, !*elf->rpath, "no RPATH or RUNPATH", why);
    tell(c, !elf->exec_stack, "no executable stack", "add .note.GNU-stack to assembler files");
    tell(c, elf->nodelete && elf->bind_now && elf->relro, "linked with -z nodelete, now, relro",
         !elf->nodelete   ? "-Wl,-z,nodelete is missing"
         : !elf->bind_now ? "-Wl,-z,now is missing"
                          : "-Wl,-z,relro is missing");
    const char *found = NULL;
    (void)qd_elf_symbols(p, n, find_forbidden, &found);
    snprintf(why, sizeof why, "it calls %s", found ? found : "");
    tell(c, !found, "calls nothing that belongs to the host", why);
}

/* The loader's refusals, then the rest; false when its code must not run. */
static bool check_static(checked *c)
{
    qd_elf *elf = qd_calloc(NULL, sizeof *elf);
    char sha256[65] = "";
    qd_err err;
    qd_err_init(&err);
    qd_plugin_host_config config = {
        .env = qd_env_system(), .build_tree = c->build_tree, .allow_unstable = true};
    bool ok = elf && qd_plugin_file_check(&config, c->file, elf, sha256, &err) == 0;
    tell(c, ok, "the loader takes the file", qd_err_reason(&err));
    qd_err_fini(&err);
    qd_buf b;
    qd_buf_init(&b, NULL, FILE_BYTES_MAX);
    if (ok && qd_file_read(c->file, &b, NULL) == 0) {
        print_facts(elf, sha256);
        check_bytes(c, elf, (const uint8_t *)b.p, b.n);
    }
    qd_buf_fini(&b);
    qd_free(elf);
    return ok;
}

/* --- in the child --- */

static void print_line(void *arg, const char *text)
{
    (void)arg;
    printf("%s\n", text);
    fflush(stdout);
}

static void run_kind(checked *c, qd_plugin_host *h, qd_self *self, uint32_t kind, uint32_t *failed)
{
    qd_str name;
    qd_self *owner;
    size_t pos = 0;
    const void *vt;
    while ((vt = qd_plugin_next(h, kind, &pos, &name, &owner))) {
        if (owner != self) continue;
        char folder[QD_PATH_MAX], id[17];
        snprintf(id, sizeof id, "%016llx", (unsigned long long)qd_env_random_u64(qd_env_system()));
        const char *tmp = qd_proc_env("TMPDIR");
        snprintf(folder, sizeof folder, "%s/qd-check-%s", tmp && *tmp ? tmp : "/tmp", id);
        printf("# %s [%.*s] in %s\n", qd_plugin_kind_name(kind), QD_STR_ARG(name), folder);
        if (qd_dir_make(folder, 0700, NULL)) continue;
        qd_conform_run run;
        qd_conform_begin(&run, qd_env_system(), self, qd_str_c(folder), c->options.at,
                         (uint32_t)c->options.n, print_line, NULL);
        run.c.seconds = c->seconds;
        qd_conform_kind(&run, kind, name.p, vt);
        *failed += qd_conform_end(&run);
        if (qd_dir_remove(folder, NULL)) printf("# %s could not be removed\n", folder);
    }
}

typedef struct world {
    qd_arena arena;
    QD_VEC(qd_pair) settings; /* with full keys */
    qd_loop *loop;
    qd_pool *pool;
    qd_plugin_host *host;
} world;

static int full_keys(const checked *c, qd_str name, world *w, qd_err *err)
{
    qd_arena_init(&w->arena, NULL, 1 << 20);
    for (size_t i = 0; i < c->settings.n; i++) {
        const qd_pair *s = &c->settings.at[i];
        qd_str key =
            qd_arena_printf(&w->arena, "plugin.%.*s.%.*s", QD_STR_ARG(name), QD_STR_ARG(s->key));
        if (!key.p || qd_vec_push(&w->settings, NULL, ((qd_pair){key, s->value})))
            return qd_err_nomem(err, "settings");
    }
    return 0;
}

static int open_world(checked *c, world *w, qd_err *err)
{
    const char *slash = strrchr(c->file, '/');
    qd_str base = qd_str_c(slash ? slash + 1 : c->file);
    qd_str name = qd_str_sub(base, 0, base.n - 3);
    qd_str folders[2] = {slash ? (qd_str){c->file, (size_t)(slash - c->file)} : QD_STR(".")};
    QD_VEC(qd_str) allow = {0};
    qd_paths paths;
    bool more = c->with.n && qd_paths_find(&paths, NULL) == 0;
    if (more) folders[1] = qd_str_c(paths.plugins);
    qd_plugin_host_config config = {.env = qd_env_system(),
                                    .flags = QD_HOST_CHECKING,
                                    .uv_version = qd_loop_uv_version(),
                                    .paths = folders,
                                    .npaths = more && !qd_str_eq(folders[0], folders[1]) ? 2 : 1,
                                    .build_tree = c->build_tree,
                                    .allow_unstable = true};
    int rc = qd_vec_push(&allow, NULL, name);
    for (size_t i = 0; i < c->with.n && !rc; i++) rc = qd_vec_push(&allow, NULL, c->with.at[i]);
    rc = rc ? qd_err_nomem(err, "names of plugins") : full_keys(c, name, w, err);
    config.allow = allow.at;
    config.nallow = allow.n;
    config.settings = w->settings.at;
    config.nsettings = w->settings.n;
    if (rc == 0) rc = qd_loop_open(config.env, "check", &w->loop, err);
    if (rc == 0) rc = qd_loop_start(w->loop, err);
    if (rc == 0) rc = qd_pool_open(config.env, "generic", 4, 1000, &w->pool, err);
    config.loop = w->loop;
    config.pool = w->pool;
    if (rc == 0) rc = qd_plugin_host_open(&config, &w->host, err);
    qd_vec_fini(&allow);
    if (rc) return rc;
    qd_plugin_alone(w->host);
    return qd_plugin_host_load(w->host, err);
}

/* The plugin that is checked, not those beside it; NULL and why when it was refused. */
static qd_self *loaded_self(const checked *c, const qd_plugin_host *h, const char **reason)
{
    const char *slash = strrchr(c->file, '/'), *base = slash ? slash + 1 : c->file;
    for (size_t i = 0; i < qd_plugin_count(h); i++) {
        qd_plugin_info info;
        qd_plugin_info_get(h, i, &info);
        size_t n = strlen(info.name);
        if (strncmp(info.name, base, n) != 0 || strcmp(base + n, ".so") != 0) continue;
        if (info.state != QD_PLUGIN_REFUSED) return info.self;
        if (*info.sha256) *reason = info.reason;
    }
    return NULL;
}

/* The lines here have no numbers; the parent gives them. */
static int run_child(void *arg)
{
    checked *c = arg;
    world w = {0};
    qd_err err;
    qd_err_init(&err);
    const char *reason = "";
    int rc = open_world(c, &w, &err);
    qd_self *self = rc ? NULL : loaded_self(c, w.host, &reason);
    printf("%sok 1 - it loads and initialises\n", self ? "" : "not ");
    if (!self) printf("# %s\n", rc ? qd_err_reason(&err) : reason);
    uint32_t failed = self ? 0 : 1;
    if (self) {
        rc = qd_plugin_host_start(w.host, &err);
        printf("%sok 1 - it starts\n", rc ? "not " : "");
        if (rc) printf("# %s\n", qd_err_reason(&err)), failed++;
        for (uint32_t kind = 1; rc == 0 && kind < QD_KIND_COUNT; kind++)
            run_kind(c, w.host, self, kind, &failed);
        qd_plugin_host_stop(w.host);
        printf("ok 1 - it stops\n");
    }
    fflush(stdout);
    qd_err_fini(&err);
    return failed ? 1 : 0;
}

/* Numbers the child's lines anew, leaves out its plans. */
static void pass_on(checked *c, qd_str text)
{
    while (text.p) {
        qd_str line = qd_str_split(&text, '\n');
        bool bad = qd_str_starts(line, QD_STR("not ok "));
        if (line.n == 0 || qd_str_starts(line, QD_STR("1.."))) continue;
        if (!bad && !qd_str_starts(line, QD_STR("ok "))) {
            printf("%s%.*s\n", line.p[0] == '#' ? "" : "# ", QD_STR_ARG(line));
            continue;
        }
        ptrdiff_t dash = qd_str_find_str(line, QD_STR(" - "));
        c->told++;
        c->failed += bad;
        printf("%sok %u%.*s\n", bad ? "not " : "", c->told,
               QD_STR_ARG(qd_str_sub(line, dash < 0 ? line.n : (size_t)dash, line.n)));
    }
}

static int check_running(checked *c, qd_err *err)
{
    qd_buf output;
    qd_proc_exit end;
    qd_buf_init(&output, NULL, OUTPUT_BYTES_MAX);
    fflush(stdout);
    uint32_t ms = CHILD_MS_MAX + c->seconds * 1000;
    int rc = qd_proc_child(run_child, c, ms, &output, &end, err);
    if (rc == 0) {
        char why[128];
        pass_on(c, qd_buf_view(&output));
        snprintf(why, sizeof why,
                 end.timed_out ? "it was killed after %u s" : "it died by signal %u",
                 end.timed_out ? ms / 1000 : (unsigned)end.signal);
        tell(c, end.signal == 0 && !end.timed_out, "the process lives to its end", why);
    }
    qd_buf_fini(&output);
    return rc;
}

static int split_pair(const char *text, qd_pair *out, qd_err *err)
{
    qd_str value = qd_str_c(text), key = qd_str_split(&value, '=');
    if (!value.p) return qd_err_set(err, QD_E_ARG, "wanted KEY=VALUE, found %s", text);
    *out = (qd_pair){key, value};
    return 0;
}

/* Loose permissions are a warning in the build tree's own folder, as for the node. */
static bool in_build_tree(const char *file)
{
    qd_paths paths;
    size_t n;
    return qd_paths_find(&paths, NULL) == 0 && paths.build_tree &&
           (n = strlen(paths.plugins)) > 0 && strncmp(file, paths.plugins, n) == 0 &&
           file[n] == '/' && !strchr(file + n + 1, '/');
}

/* A bare name is a plugin of the installation. */
static const char *file_of(const char *word, char out[QD_PATH_MAX + 80], qd_err *err)
{
    qd_paths paths;
    if (strchr(word, '/') || qd_str_ends(qd_str_c(word), QD_STR(".so"))) return word;
    if (strlen(word) > 63 || qd_paths_find(&paths, err)) return word;
    snprintf(out, QD_PATH_MAX + 80, "%s/%s.so", paths.plugins, word);
    return out;
}

int qd_plugin_check(int argc, char **argv, qd_err *err)
{
    enum { OPTION = 1, SETTING, STATIC, SECONDS, WITH };
    static const qd_option options[] = {{"option", true, OPTION},  {"setting", true, SETTING},
                                        {"static", false, STATIC}, {"seconds", true, SECONDS},
                                        {"with", true, WITH},      {0}};
    checked c = {0};
    QD_VEC(const char *) files = {0};
    qd_args a;
    int id, rc = 0;
    qd_args_init(&a, argc, argv, 2, options);
    while (rc == 0 && (id = qd_args_next(&a, err)) != QD_ARGS_END) {
        if (id == QD_ARGS_BAD)
            rc = QD_E_ARG;
        else if (id == OPTION || id == SETTING) {
            qd_pair pair;
            rc = split_pair(a.value, &pair, err);
            if (rc == 0 && (id == OPTION ? qd_vec_push(&c.options, NULL, pair)
                                         : qd_vec_push(&c.settings, NULL, pair)))
                rc = qd_err_nomem(err, "options");
        } else if (id == SECONDS) {
            uint64_t n;
            if (!qd_str_u64(qd_str_c(a.value), &n) || n > SECONDS_MAX)
                rc = qd_err_set(err, QD_E_ARG, "--seconds: wanted a number up to %u, found %s",
                                SECONDS_MAX, a.value);
            else
                c.seconds = (uint32_t)n;
        } else if (id == WITH) {
            if (qd_vec_push(&c.with, NULL, qd_str_c(a.value)))
                rc = qd_err_nomem(err, "names of plugins");
        } else if (id == STATIC)
            c.only_static = true;
        else if (qd_vec_push(&files, NULL, a.value))
            rc = qd_err_nomem(err, "names of files");
    }
    if (rc == 0 && files.n == 0)
        rc = qd_err_set(err, QD_E_ARG, "wants a file: qd plugin check FILE.so");
    for (size_t i = 0; rc == 0 && i < files.n; i++) {
        char path[QD_PATH_MAX + 80];
        qd_buf real;
        c.file = file_of(files.at[i], path, err);
        qd_buf_init(&real, NULL, QD_PATH_MAX);
        c.build_tree = qd_path_real(c.file, &real, NULL) == 0 && in_build_tree(real.p);
        qd_buf_fini(&real);
        printf("# %s\n", c.file);
        if (check_static(&c) && !c.only_static) rc = check_running(&c, err);
    }
    if (rc == 0) printf("1..%u\n", c.told);
    qd_vec_fini(&files);
    qd_vec_fini(&c.options);
    qd_vec_fini(&c.settings);
    qd_vec_fini(&c.with);
    return rc ? rc : c.failed ? 1 : 0;
}
