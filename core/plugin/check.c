/*
 * check.c: every reason to refuse a plugin before any of its code runs, and the comparison of its
 * descriptor with its note. Texts read "FILE: defect: wanted X, found Y; remedy".
 */
#include "plugin/host_int.h"
#include <gnu/libc-version.h>

bool qdi_plugin_name_ok(qd_str name)
{
    if (name.n == 0 || name.n > 63) return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) return false;
    }
    return true;
}

int qdi_version_cmp(const char *a, const char *b)
{
    qd_str x = qd_str_c(a), y = qd_str_c(b);
    while (x.p || y.p) {
        uint64_t i = 0, k = 0;
        if (x.p) (void)qd_str_u64(qd_str_split(&x, '.'), &i);
        if (y.p) (void)qd_str_u64(qd_str_split(&y, '.'), &k);
        if (i != k) return i < k ? -1 : 1;
    }
    return 0;
}

static int check_glibc(const char *file, const qd_elf *elf, qd_err *err)
{
    qd_str rest = qd_str_c(gnu_get_libc_version());
    uint64_t major = 0, minor = 0;
    (void)qd_str_u64(qd_str_split(&rest, '.'), &major);
    if (rest.p) (void)qd_str_u64(qd_str_split(&rest, '.'), &minor);
    if (elf->glibc_major < major || (elf->glibc_major == major && elf->glibc_minor <= minor))
        return 0;
    return qd_err_set(
        err, QD_E_PLUGIN,
        "%s: newer C library needed: wanted GLIBC_%u.%u, found %s here; build the plugin "
        "on a system as old as this one",
        file, elf->glibc_major, elf->glibc_minor, gnu_get_libc_version());
}

/* Versions of the kinds as this host has them. */
static const struct {
    uint16_t major, minor;
} kind_versions[QD_KIND_COUNT] = {
    [QD_KIND_COORDINATION] = {QD_COORDINATION_MAJOR, QD_COORDINATION_MINOR},
    [QD_KIND_STORAGE] = {QD_STORAGE_MAJOR, QD_STORAGE_MINOR},
    [QD_KIND_OPERATOR] = {QD_OPERATOR_MAJOR, QD_OPERATOR_MINOR},
    [QD_KIND_CHAR_FILTER] = {QD_CHAR_FILTER_MAJOR, QD_CHAR_FILTER_MINOR},
    [QD_KIND_TOKENIZER] = {QD_TOKENIZER_MAJOR, QD_TOKENIZER_MINOR},
    [QD_KIND_TOKEN_FILTER] = {QD_TOKEN_FILTER_MAJOR, QD_TOKEN_FILTER_MINOR},
    [QD_KIND_FRONTEND] = {QD_FRONTEND_MAJOR, QD_FRONTEND_MINOR},
    [QD_KIND_AGGREGATION] = {QD_AGGREGATION_MAJOR, QD_AGGREGATION_MINOR},
    [QD_KIND_FIELD] = {QD_FIELD_MAJOR, QD_FIELD_MINOR},
    [QD_KIND_ROUTE] = {QD_ROUTE_MAJOR, QD_ROUTE_MINOR},
    [QD_KIND_PROCESSOR] = {QD_PROCESSOR_MAJOR, QD_PROCESSOR_MINOR},
};

static int check_kinds(const qd_plugin_host_config *config, const char *file, const qd_note *note,
                       qd_err *err)
{
    bool own_build = note->build_id[0] && strcmp(note->build_id, qd_plugin_build_id()) == 0;
    for (uint32_t i = 0; i < note->nkinds; i++) {
        const qd_note_kind *k = &note->kinds[i];
        const char *name = qd_plugin_kind_name(k->kind);
        if (!name)
            return qd_err_set(err, QD_E_ABI,
                              "%s: unknown kind: wanted a number up to %d, found %u; "
                              "the plugin is for a newer host",
                              file, QD_KIND_COUNT - 1, k->kind);
        unsigned major = kind_versions[k->kind].major, minor = kind_versions[k->kind].minor;
        if (k->major != major || (major == 0 ? k->minor != minor : k->minor > minor))
            return qd_err_set(err, QD_E_ABI,
                              "%s: kind %s does not fit: wanted %u.%u%s, found %u.%u; "
                              "rebuild the plugin with this host's SDK",
                              file, name, major, minor, major ? " or an older minor" : "", k->major,
                              k->minor);
        if (major == 0 && !own_build && !config->allow_unstable)
            return qd_err_set(
                err, QD_E_ABI,
                "%s: kind %s is unstable (%u.%u): wanted build id [%s] or "
                "plugins.allow_unstable: true, found build id [%s]; set it to accept that "
                "the plugin must be rebuilt with each release",
                file, name, major, minor, qd_plugin_build_id(), note->build_id);
    }
    return 0;
}

static int check_abi(const char *file, unsigned major, unsigned minor, qd_err *err)
{
    if (major != QD_ABI_MAJOR)
        return qd_err_set(err, QD_E_ABI,
                          "%s: wrong ABI major: wanted %d.x, found %u.%u; rebuild the "
                          "plugin with this host's SDK",
                          file, QD_ABI_MAJOR, major, minor);
    if (minor > QD_ABI_MINOR)
        return qd_err_set(err, QD_E_ABI,
                          "%s: too new an ABI minor: wanted %d.%d or older, found %u.%u; "
                          "upgrade the host, or build the plugin with -DQD_ABI_TARGET=%d",
                          file, QD_ABI_MAJOR, QD_ABI_MINOR, major, minor, QD_ABI_MINOR);
    return 0;
}

static int check_hash(const qd_plugin_host_config *config, const char *file, qd_str name,
                      const char *sha256, qd_err *err)
{
    for (size_t i = 0; i < config->nsha256; i++) {
        if (!qd_str_eq(config->sha256[i].key, name)) continue;
        if (qd_str_ieq(config->sha256[i].value, qd_str_c(sha256))) return 0;
        return qd_err_set(err, QD_E_PERMISSION,
                          "%s: not the file meant by plugins.sha256: wanted "
                          "%.*s, found %s; install that file, or correct the setting",
                          file, QD_STR_ARG(config->sha256[i].value), sha256);
    }
    return 0;
}

int qdi_plugin_check_elf(const qd_plugin_host_config *config, const char *file, qd_str name,
                         const qd_elf *elf, const char *sha256, qd_err *err)
{
    if (!elf->has_note)
        return qd_err_set(err, QD_E_ABI,
                          "%s: no note: wanted an ELF note of owner \"Quidditch\", found "
                          "none; use QD_PLUGIN_NOTE of quidditch/plugin.h",
                          file);
    const qd_note *note = &elf->note;
    int rc = check_abi(file, note->abi_major, note->abi_minor, err);
    if (rc) return rc;
    if (!elf->has_entry)
        return qd_err_set(err, QD_E_ABI,
                          "%s: missing symbol: wanted qd_plugin_entry, found %u other "
                          "exported symbols; use QD_PLUGIN_ENTRY of quidditch/plugin.h",
                          file, elf->nexports);
    if (!qd_str_is(name, note->name))
        return qd_err_set(err, QD_E_PLUGIN,
                          "%s: name differs: wanted [%.*s] as the file is called, found "
                          "[%s] in the note; rename the file",
                          file, QD_STR_ARG(name), note->name);
    rc = check_kinds(config, file, note, err);
    if (rc == 0) rc = check_glibc(file, elf, err);
    if (rc == 0) rc = check_hash(config, file, name, sha256, err);
    return rc;
}

int qd_plugin_file_check(const qd_plugin_host_config *config, const char *file, qd_elf *elf,
                         char *sha256, qd_err *err)
{
    qd_plugin_bytes bytes;
    qd_elf own;
    if (!elf) elf = &own;
    const char *base = strrchr(file, '/');
    qd_str name = qd_str_c(base ? base + 1 : file);
    if (qd_str_ends(name, QD_STR(".so"))) name.n -= 3;
    if (!qdi_plugin_name_ok(name))
        return qd_err_set(err, QD_E_PLUGIN, "%s: bad name: wanted [a-z0-9-]+.so", file);
    int rc = qdi_plugin_file_open(file, config->build_tree, &bytes, err);
    if (rc) return rc;
    qd_err defect;
    qd_err_init(&defect);
    rc = qd_elf_read(bytes.p, bytes.n, elf, &defect);
    if (rc)
        qd_err_set(err, rc, "%s: %s; build it for this machine or copy it again", file,
                   qd_err_reason(&defect));
    qd_err_fini(&defect);
    if (rc == 0) rc = qdi_plugin_check_elf(config, file, name, elf, bytes.sha256, err);
    if (rc == 0 && sha256) memcpy(sha256, bytes.sha256, sizeof bytes.sha256);
    qdi_plugin_file_close(&bytes);
    return rc;
}

/* Arrays in a plugin have the stride of the header it was built with. */
static int adopt_array(qd_self *self, const void *from, uint32_t stride, size_t size, uint32_t max,
                       void **to, uint32_t *n, const char *what, qd_err *err)
{
    *n = 0;
    *to = NULL;
    if (!from) return 0;
    if (stride < sizeof(void *) || stride > 4096)
        return qd_err_set(err, QD_E_ABI, "%s: elements of %s are %u bytes", self->name, what,
                          stride);
    const char *at = from;
    for (const char *key; memcpy(&key, at + (size_t)*n * stride, sizeof key), key; (*n)++)
        if (*n == max)
            return qd_err_set(err, QD_E_ABI, "%s: more than %u %s", self->name, max, what);
    char *copy = qd_arena_calloc(&self->host->arena, (*n + 1) * size);
    if (!copy) return qd_err_nomem(err, what);
    for (uint32_t i = 0; i < *n; i++)
        memcpy(copy + i * size, at + (size_t)i * stride, stride < size ? stride : size);
    *to = copy;
    return 0;
}

int qdi_plugin_adopt(qd_self *self, const qd_plugin *plugin, const qd_note *note, qd_err *err)
{
    const char *file = self->builtin ? self->name : self->file;
    if (!plugin || plugin->magic != QD_PLUGIN_MAGIC || plugin->struct_size < 24)
        return qd_err_set(err, QD_E_ABI, "%s: qd_plugin_entry returned no descriptor", file);
    int rc = check_abi(file, plugin->abi_major, plugin->abi_minor, err);
    if (rc) return rc;
    size_t size = plugin->struct_size;
    memset(&self->plugin, 0, sizeof self->plugin);
    memcpy(&self->plugin, plugin, size < sizeof self->plugin ? size : sizeof self->plugin);
    const qd_plugin *p = &self->plugin;
    if (!p->name || !p->version || !p->init)
        return qd_err_set(err, QD_E_ABI, "%s: descriptor has no %s", file,
                          !p->name      ? "name"
                          : !p->version ? "version"
                                        : "init");
    if (p->flags & ~(uint32_t)QD_PLUGIN_FLAGS)
        return qd_err_set(err, QD_E_ABI,
                          "%s: unknown flags: wanted bits of %#x, found %#x; upgrade the "
                          "host",
                          file, QD_PLUGIN_FLAGS, p->flags);
    if (note && (strcmp(note->name, p->name) != 0 || strcmp(note->version, p->version) != 0 ||
                 note->flags != p->flags || note->abi_major != p->abi_major ||
                 note->abi_minor != p->abi_minor))
        return qd_err_set(err, QD_E_ABI,
                          "%s: note and descriptor differ: wanted %s %s, ABI %u.%u, flags "
                          "%#x as in the note, found %s %s, ABI %u.%u, flags %#x",
                          file, note->name, note->version, note->abi_major, note->abi_minor,
                          note->flags, p->name, p->version, p->abi_major, p->abi_minor, p->flags);
    self->version = p->version;
    self->license = p->license ? p->license : "";
    void *deps, *schema;
    rc = adopt_array(self, p->deps, p->dep_size, sizeof(qd_plugin_dep), QD_PLUGIN_DEPS_MAX, &deps,
                     &self->ndeps, "dependencies", err);
    if (rc) return rc;
    rc = adopt_array(self, p->conf, p->conf_size, sizeof(qd_plugin_conf), QD_PLUGIN_CONF_MAX,
                     &schema, &self->nvalues, "settings", err);
    if (rc) return rc;
    self->deps = deps;
    self->schema = schema;
    self->values = qd_arena_calloc(&self->host->arena, (self->nvalues + 1) * sizeof *self->values);
    if (!self->values) return qd_err_nomem(err, "settings of a plugin");
    for (uint32_t i = 0; i < self->nvalues; i++) self->values[i].conf = self->schema[i];
    return 0;
}
