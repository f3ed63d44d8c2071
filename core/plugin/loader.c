/*
 * loader.c: from the folder to running plugins.
 *
 *   read     every allowed file is looked at as bytes: permissions, note, symbols, hash
 *   map      dlopen, qd_plugin_entry, descriptor compared with the note and copied
 *   sort     by dependencies, the order of plugins.allow breaking ties; cycles are refused
 *   init     settings parsed by the schema, then init; what it registered goes if it fails
 *
 * A failure at any step refuses that plugin and those that depend on it, and nothing else.
 */
#include "plugin/host_int.h"
#include "runtime/crash.h"
#include <dlfcn.h>
#include <stdio.h>

/* Keeps the plugin in the list with its reason. */
static int refuse(qd_self *self, const char *reason)
{
    qd_plugin_host *h = self->host;
    self->state = QD_PLUGIN_REFUSED;
    self->reason = qdi_text(h, "%s", reason);
    /* An allowed name without a file is no news before somebody needs it: most installations lack
     * some of the plugins that are allowed by default. */
    qd_log("plugin", *self->sha256 ? QD_LOG_WARN : QD_LOG_DEBUG, "plugin [%s] refused: %s",
           self->name, self->reason);
    return qd_vec_push(&h->refused, &h->account, self);
}

static int refuse_err(qd_self *self, qd_err *why)
{
    int rc = refuse(self, qd_err_reason(why));
    qd_err_fini(why);
    return rc;
}

/* --- read --- */

static bool allowed(const qd_plugin_host *h, qd_str name)
{
    for (size_t i = 0; i < h->config.nallow; i++)
        if (qd_str_eq(h->config.allow[i], name)) return true;
    return false;
}

static qd_self *listed(const qd_self_list *list, qd_str name)
{
    for (size_t i = 0; i < list->n; i++)
        if (qd_str_is(name, list->at[i]->name)) return list->at[i];
    return NULL;
}

static uint32_t note_kinds(const qd_note *note)
{
    uint32_t kinds = 0;
    for (uint32_t i = 0; i < note->nkinds; i++)
        if (qd_plugin_kind_name(note->kinds[i].kind)) kinds |= 1u << note->kinds[i].kind;
    return kinds;
}

static const qd_plugin_found *found_named(const qd_plugin_found_list *files, qd_str name)
{
    for (size_t i = 0; i < files->n; i++)
        if (qd_str_eq(files->at[i].name, name)) return &files->at[i];
    return NULL;
}

/* A file under another name than its note's, which another file bears too, is a duplicate. */
static int check_duplicate(qd_self *self, const qd_plugin_found_list *files, qd_err *err)
{
    const char *name = self->elf->note.name;
    if (!self->elf->has_note || strcmp(name, self->name) == 0) return 0;
    const qd_plugin_found *other = found_named(files, qd_str_c(name));
    if (!other) return 0;
    return qd_err_set(err, QD_E_PLUGIN,
                      "%s: duplicate name: wanted one plugin [%s], found another in %s; remove one "
                      "of them",
                      self->file, name, other->file);
}

static int read_bytes(qd_self *self, const qd_plugin_found_list *files, qd_err *err)
{
    qd_plugin_host *h = self->host;
    qd_plugin_bytes bytes;
    int rc = qdi_plugin_file_open(self->file, self->build_tree, &bytes, err);
    if (rc) return rc;
    self->sha256 = qdi_text(h, "%s", bytes.sha256);
    if (h->config.require_signature)
        rc = qdi_plugin_signature_check(&bytes, h->config.trust_dir, self->build_tree, err);
    if (rc) {
        qdi_plugin_file_close(&bytes);
        return rc;
    }
    self->dev = bytes.dev;
    self->ino = bytes.ino;
    self->elf = qd_arena_calloc(&h->arena, sizeof *self->elf);
    qd_err defect;
    qd_err_init(&defect);
    rc = self->elf ? qd_elf_read(bytes.p, bytes.n, self->elf, &defect) : QD_E_NOMEM;
    if (rc)
        qd_err_set(err, rc, "%s: %s; build it for this machine or copy it again", self->file,
                   qd_err_reason(&defect));
    qd_err_fini(&defect);
    qdi_plugin_file_close(&bytes);
    if (rc) return rc;
    self->kinds = note_kinds(&self->elf->note);
    if (self->elf->has_note) {
        self->version = self->elf->note.version;
        rc = check_duplicate(self, files, err);
    }
    if (rc == 0)
        rc = qdi_plugin_check_elf(&h->config, self->file, qd_str_c(self->name), self->elf,
                                  self->sha256, err);
    return rc;
}

/* --- map --- */

static bool needs(const qd_elf *elf, const char *library)
{
    for (uint32_t i = 0; i < elf->nneeded; i++)
        if (strcmp(elf->needed[i], library) == 0) return true;
    return false;
}

static int map_file(qd_self *self, qd_err *err)
{
    if ((self->elf->note.flags & QD_PLUGIN_NEEDS_UV) && !needs(self->elf, "libuv.so.1"))
        return qd_err_set(err, QD_E_ABI,
                          "%s: has libuv linked in: wanted libuv.so.1 as a needed library, "
                          "found none; link with -luv",
                          self->file);
    self->handle = dlopen(self->file, RTLD_NOW | RTLD_LOCAL);
    if (!self->handle) {
        const char *why = dlerror();
        bool symbol = why && strstr(why, "undefined symbol");
        return qd_err_set(err, QD_E_PLUGIN, "%s: %s: %s; %s", self->file,
                          symbol ? "missing symbol" : "cannot be loaded", why ? why : "unknown",
                          symbol ? "link it with -Wl,-z,defs and the library that has it"
                                 : "install the library it needs");
    }
    qd_crash_module(self->file,
                    qdi_text(self->host, "plugin [%s] %s", self->name, self->elf->note.version));
    if (!qdi_plugin_file_same(self->file, self->dev, self->ino))
        return qd_err_set(err, QD_E_PERMISSION,
                          "%s: was replaced while it was loaded: wanted inode %llu, "
                          "found another; find out who writes there",
                          self->file, (unsigned long long)self->ino);
    qd_plugin_entry_fn entry;
    void *symbol = dlsym(self->handle, "qd_plugin_entry");
    memcpy(&entry, &symbol, sizeof entry);
    if (!entry)
        return qd_err_set(err, QD_E_ABI, "%s: missing symbol: wanted qd_plugin_entry, found none",
                          self->file);
    return qdi_plugin_adopt(self, entry(), &self->elf->note, err);
}

static int load_file(qd_plugin_host *h, qd_str name, const qd_plugin_found_list *files,
                     qd_self_list *loaded, qd_err *err)
{
    if (listed(loaded, name) || listed(&h->refused, name)) return 0; /* allowed twice */
    qd_self *self = qdi_self_make(h, name);
    if (!self) return qd_err_nomem(err, "a plugin");
    const qd_plugin_found *found = found_named(files, name);
    if (found) {
        self->file = found->file;
        self->build_tree = found->build_tree;
    } else {
        self->file = qdi_text(h, "%.*s/%s.so", QD_STR_ARG(h->config.paths[0]), self->name);
        self->absent = true;
    }
    qd_err why;
    qd_err_init(&why);
    int rc = 0;
    if (listed(&h->plugins, name))
        rc = qd_err_set(&why, QD_E_PLUGIN,
                        "%s: duplicate name: wanted one plugin [%s], found a built-in one; rename "
                        "the file",
                        self->file, self->name);
    else if (!qdi_plugin_name_ok(name))
        rc = qd_err_set(&why, QD_E_PLUGIN, "%s: bad name: wanted [a-z0-9-]+.so", self->file);
    if (rc == 0) rc = read_bytes(self, files, &why);
    if (rc == 0) rc = map_file(self, &why);
    if (rc) return refuse_err(self, &why) ? qd_err_nomem(err, "list of plugins") : 0;
    qd_err_fini(&why);
    return qd_vec_push(loaded, &h->account, self) ? qd_err_nomem(err, "list of plugins") : 0;
}

/* Files that may not be loaded, and those hidden by one of the same name in an earlier folder. */
static int refuse_others(qd_plugin_host *h, const qd_plugin_found_list *files, qd_err *err)
{
    for (size_t i = 0; i < files->n; i++) {
        const qd_plugin_found *f = &files->at[i];
        const qd_plugin_found *first = found_named(files, f->name);
        if (first == f && allowed(h, f->name)) continue;
        qd_self *self = qdi_self_make(h, f->name);
        if (!self) return qd_err_nomem(err, "a plugin");
        self->file = f->file;
        const char *why =
            first != f
                ? qdi_text(h,
                           "%s: duplicate name: wanted one plugin [%s], found another in %s; "
                           "remove one of them",
                           self->file, self->name, first->file)
                : qdi_text(h,
                           "%s: not allowed: wanted [%s] in plugins.allow, found it absent; add it "
                           "there if you trust it",
                           self->file, self->name);
        if (refuse(self, why)) return qd_err_nomem(err, "list of plugins");
    }
    return 0;
}

/* --- sort --- */

enum { MARK_NEW, MARK_OPEN, MARK_SORTED, MARK_REFUSED, MARK_INIT };

typedef struct sorter {
    qd_plugin_host *h;
    qd_self_list *loaded, *sorted;
    qd_self *path[QD_PLUGINS_MAX]; /* from the one begun with down to the present one */
    uint32_t depth;
} sorter;

static const char *cycle_text(sorter *s, const qd_self *again)
{
    char text[1024];
    size_t n = 0;
    bool inside = false;
    for (uint32_t i = 0; i < s->depth && n < sizeof text; i++) {
        if (s->path[i] == again) inside = true;
        if (!inside) continue;
        int k = snprintf(text + n, sizeof text - n, "%s -> ", s->path[i]->name);
        n += k > 0 ? (size_t)k : 0;
    }
    if (n < sizeof text) snprintf(text + n, sizeof text - n, "%s", again->name);
    return qdi_text(s->h, "%s", text);
}

static int visit(sorter *s, qd_self *self, const char **why);

/* Is one dependency there, new enough and itself in order? *why gets the reason when not. */
static int visit_dep(sorter *s, qd_self *self, const qd_plugin_dep *dep, const char **why)
{
    qd_str name = qd_str_c(dep->name);
    qd_self *other = listed(&s->h->plugins, name);
    if (!other) other = listed(s->loaded, name);
    if (!other) {
        const qd_self *gone = listed(&s->h->refused, name);
        *why = qdi_text(
            s->h, "%s: dependency missing: wanted plugin [%s], found %s%s; install and allow it",
            self->file, dep->name, gone ? "it refused: " : "none", gone ? gone->reason : "");
        return 0;
    }
    if (dep->min_version && qdi_version_cmp(other->version, dep->min_version) < 0) {
        *why = qdi_text(s->h, "%s: dependency too old: wanted plugin [%s] %s, found %s; upgrade it",
                        self->file, dep->name, dep->min_version, other->version);
        return 0;
    }
    if (other->mark == MARK_OPEN) {
        *why =
            qdi_text(s->h, "%s: cyclic dependencies: wanted an order, found %s; remove one of them",
                     self->file, cycle_text(s, other));
        return 0;
    }
    if (other->mark == MARK_NEW && !other->builtin) {
        const char *reason = NULL;
        int rc = visit(s, other, &reason);
        if (rc) return rc;
    }
    if (other->mark == MARK_REFUSED)
        *why = qdi_text(s->h, "%s: dependency missing: wanted plugin [%s], found it refused: %s",
                        self->file, dep->name, other->reason);
    return 0;
}

static int visit(sorter *s, qd_self *self, const char **why)
{
    if (self->mark != MARK_NEW) return 0;
    self->mark = MARK_OPEN;
    qd_assert(s->depth < QD_PLUGINS_MAX); /* a path has each plugin once */
    s->path[s->depth++] = self;
    *why = NULL;
    for (uint32_t i = 0; i < self->ndeps && !*why; i++) {
        int rc = visit_dep(s, self, &self->deps[i], why);
        if (rc) return rc;
    }
    s->depth--;
    if (*why) {
        self->mark = MARK_REFUSED;
        return refuse(self, *why);
    }
    self->mark = MARK_SORTED;
    return qd_vec_push(s->sorted, &s->h->account, self);
}

/* --- init --- */

static int init_plugin(qd_self *self, qd_err *err)
{
    qd_plugin_host *h = self->host;
    int rc = qdi_settings_load(self, err);
    if (rc) return rc;
    uint32_t announced = self->announced = self->kinds;
    self->kinds = 0;
    self->under = h->initialising;
    h->initialising = self;
    self->init_called = true;
    const qd_plugin_host *before = qdi_lookup_busy(h);
    rc = self->plugin.init(self, &h->table, err);
    (void)qdi_lookup_busy(before);
    h->initialising = self->under;
    self->under = NULL;
    if (rc == 0 && !self->builtin && (self->kinds & ~announced))
        rc = qd_err_set(err, QD_E_ABI, "provides a kind that its note does not announce");
    if (rc) {
        qdi_jobs_stop(self);
        qdi_provided_drop(self);
        self->kinds = announced;
        if (err && !err->code)
            qd_err_set(err, rc, "init returned %s without a reason", qd_code_name(rc));
        return rc;
    }
    self->state = QD_PLUGIN_LOADED;
    if (!self->kinds && !self->builtin)
        qd_log_warn("plugin",
                    "plugin [%s] provides nothing: its init has called provide for no kind",
                    self->name);
    if (qd_vec_push(&h->plugins, &h->account, self)) return qd_err_nomem(err, "list of plugins");
    return 0;
}

/* Why a dependency's failure refuses this one too; NULL: it does not. */
static const char *broken_dep(qd_self *self)
{
    qd_plugin_host *h = self->host;
    for (uint32_t d = 0; d < self->ndeps; d++) {
        const qd_self *dep = listed(&h->refused, qd_str_c(self->deps[d].name));
        if (dep && !listed(&h->plugins, qd_str_c(self->deps[d].name)))
            return qdi_text(h, "%s: dependency missing: wanted plugin [%s], found it refused: %s",
                            self->file, dep->name, dep->reason);
    }
    return NULL;
}

/* Initialises one of the sorted, or refuses it; nothing when that has begun already. */
static int init_one(qd_self *self, qd_err *err)
{
    qd_plugin_host *h = self->host;
    if (self->mark != MARK_SORTED) return 0;
    self->mark = MARK_INIT;
    const char *broken = broken_dep(self);
    if (broken) return refuse(self, broken) ? qd_err_nomem(err, "list of plugins") : 0;
    qd_err why;
    qd_err_init(&why);
    int rc = init_plugin(self, &why);
    if (rc) {
        const char *what = self->init_called ? "init failed" : "bad settings";
        const char *text = qdi_text(h, "%s: %s: %s", self->file, what, qd_err_reason(&why));
        qd_err_fini(&why);
        return refuse(self, text) ? qd_err_nomem(err, "list of plugins") : 0;
    }
    qd_err_fini(&why);
    qd_log_info("plugin", "loaded plugin [%s] %s from %s, sha256 %s", self->name, self->version,
                self->file, self->sha256);
    return 0;
}

/* In order of dependencies: who depends on one that failed here is refused too. */
static int init_sorted(qd_plugin_host *h, const qd_self_list *sorted, qd_err *err)
{
    int rc = 0;
    h->sorted = sorted;
    for (size_t i = 0; i < sorted->n && !rc; i++) rc = init_one(sorted->at[i], err);
    h->sorted = NULL;
    return rc;
}

static qd_self *waiting(const qd_plugin_host *h, const char *name)
{
    qd_self *self = h->sorted ? listed(h->sorted, qd_str_c(name)) : NULL;
    return self && self->mark == MARK_SORTED ? self : NULL;
}

/* Could its init run now? Not while that of a dependency, near or far, is under way. */
static bool may_init(const qd_plugin_host *h, const qd_self *self)
{
    for (uint32_t d = 0; d < self->ndeps; d++) {
        const char *name = self->deps[d].name;
        for (const qd_self *s = h->initialising; s; s = s->under)
            if (strcmp(s->name, name) == 0) return false;
        const qd_self *dep = waiting(h, name);
        if (dep && !may_init(h, dep)) return false;
    }
    return true;
}

/* A plugin behind those that it depends on; the sort has seen that these make no circle. */
static int init_with_deps(qd_self *self, qd_err *err)
{
    int rc = 0;
    for (uint32_t d = 0; d < self->ndeps && !rc; d++) {
        qd_self *dep = waiting(self->host, self->deps[d].name);
        if (dep) rc = init_with_deps(dep, err);
    }
    return rc ? rc : init_one(self, err);
}

int qdi_init_announcing(qd_plugin_host *h, uint32_t kind, qd_str name, qd_err *err)
{
    int rc = 0;
    for (size_t i = 0; h->sorted && i < h->sorted->n && !rc; i++) {
        qd_self *self = h->sorted->at[i];
        bool may = self->mark == MARK_SORTED && (self->kinds & (1u << kind));
        if (!may || !may_init(h, self)) continue;
        rc = init_with_deps(self, err);
        if (qd_plugin_find(h, kind, name, NULL)) break;
    }
    return rc;
}

/* A setting of a plugin is a need: the plugin must be there. prefix: of the key, before the name.
 */
static int check_needed(const qd_plugin_host *h, const char *prefix, qd_str name, qd_str key,
                        qd_err *err)
{
    if (listed(&h->plugins, name)) return 0;
    const qd_self *gone = listed(&h->refused, name);
    if (gone)
        return qd_err_set(err, QD_E_CONFIG,
                          "setting [%s%.*s] needs plugin [%s], which was refused: %s", prefix,
                          QD_STR_ARG(key), gone->name, gone->reason);
    const char *best = NULL;
    size_t distance = 4;
    for (size_t k = 0; k < h->plugins.n; k++) {
        size_t d = qd_str_distance(name, qd_str_c(h->plugins.at[k]->name));
        if (d < distance) distance = d, best = h->plugins.at[k]->name;
    }
    return qd_err_set(err, QD_E_CONFIG, "unknown setting [%s%.*s]: there is no plugin [%.*s]%s%s%s",
                      prefix, QD_STR_ARG(key), QD_STR_ARG(name), best ? ", did you mean [" : "",
                      best ? best : "", best ? "]?" : "");
}

static int check_blocks(const qd_plugin_host *h, qd_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < h->config.nsettings && !rc; i++) {
        qd_str key = h->config.settings[i].key, rest = qd_str_sub(key, 7, key.n);
        if (!qd_str_starts(key, QD_STR("plugin.")))
            return qd_err_set(err, QD_E_CONFIG, "unknown setting [%.*s]", QD_STR_ARG(key));
        rc = check_needed(h, "", qd_str_split(&rest, '.'), key, err);
    }
    return rc;
}

static int check_limits(const qd_plugin_host *h, qd_err *err)
{
    static const char prefix[] = "plugins.memory.limits.";
    int rc = 0;
    for (size_t i = 0; i < h->config.nlimits && !rc; i++) {
        qd_str name = h->config.limits[i].plugin;
        const qd_self *self = listed(&h->plugins, name);
        rc = self && self->builtin
                 ? qd_err_set(err, QD_E_CONFIG,
                              "setting [%s%s]: [%s] is built in, and its memory is the node's own",
                              prefix, self->name, self->name)
                 : check_needed(h, prefix, name, name, err);
    }
    return rc;
}

int qd_plugin_host_load(qd_plugin_host *h, qd_err *err)
{
    QD_CHECK(h, QD_PLUGIN_HOST_MAGIC);
    qdi_lookup_loads(h);
    qd_self_list loaded = {0}, sorted = {0};
    qd_plugin_found_list files = {0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < h->config.npaths; i++)
        rc = qdi_plugin_folder_list(h, h->config.paths[i], i == 0 && h->config.build_tree, &files,
                                    err);
    for (size_t i = 0; rc == 0 && h->config.npaths && i < h->config.nallow; i++)
        rc = load_file(h, h->config.allow[i], &files, &loaded, err);
    if (rc == 0) rc = refuse_others(h, &files, err);
    sorter *s = rc == 0 ? qd_calloc(&h->account, sizeof *s) : NULL;
    if (rc == 0 && !s) rc = qd_err_nomem(err, "order of plugins");
    if (s) *s = (sorter){.h = h, .loaded = &loaded, .sorted = &sorted};
    for (size_t i = 0; rc == 0 && i < loaded.n; i++) {
        const char *why;
        if (visit(s, loaded.at[i], &why)) rc = qd_err_nomem(err, "order of plugins");
    }
    if (rc == 0) rc = init_sorted(h, &sorted, err);
    if (rc == 0) rc = check_blocks(h, err);
    if (rc == 0) rc = check_limits(h, err);
    qd_free(s);
    qd_vec_fini(&files);
    qd_vec_fini(&loaded);
    qd_vec_fini(&sorted);
    return rc;
}

int qd_plugin_builtin(qd_plugin_host *h, const qd_plugin *plugin, qd_err *err)
{
    QD_CHECK(h, QD_PLUGIN_HOST_MAGIC);
    qd_self *self = qdi_self_make(h, qd_str_c(plugin->name));
    if (!self) return qd_err_nomem(err, "a plugin");
    self->builtin = true;
    atomic_store(&self->account.limit, 0); /* its memory is the node's own */
    int rc = qdi_plugin_adopt(self, plugin, NULL, err);
    if (rc) return rc;
    self->mark = MARK_SORTED;
    if (listed(&h->plugins, qd_str_c(self->name)))
        return qd_err_set(err, QD_E_EXISTS, "duplicate name: built-in plugin [%s]", self->name);
    return init_plugin(self, err);
}
