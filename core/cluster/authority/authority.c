/* authority.c: the record of what was acted on. See authority.h. */
#include "cluster/authority/authority.h"
#include "base/hash.h"
#include "base/mem.h"
#include "cluster/mutants.h"
#include "runtime/file.h"
#include "runtime/sync.h"
#include "json/tree.h"
#include "json/writer.h"
#include <stdio.h>

#define TEXT_MAX 4096u

struct qd_authority {
    qd_authority_files files;
    char *path; /* of the file, NULL: none of our own */
    qd_mutex lock;
    qd_mutex writing; /* one write at a time; taken before lock */
    qd_authority_record now;
    uint64_t noted, written; /* numbers of changes */
    qd_env *env;             /* NULL: no time is told yet */
};

/* --- file ------------------------------------------------------------------------------------ */

static int file_read(void *arg, qd_buf *out, qd_err *err)
{
    return qd_file_read(arg, out, err);
}

static int file_write(void *arg, qd_str text, qd_err *err)
{
    return qd_file_write_atomic(arg, text, 0600, err);
}

static uint64_t sum_of(const qd_authority_record *r)
{
    char text[240 + QD_AUTHORITY_LIVES * (QD_AUTHORITY_LIFE + 1)];
    int n =
        snprintf(text, sizeof text, "%s/%llu/%llu/%d%s", r->uuid, (unsigned long long)r->epoch,
                 (unsigned long long)r->revision, r->accept_older, r->refused ? "/refused" : "");
    for (uint32_t i = 0; i < QD_AUTHORITY_LIVES && r->lives[i][0]; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "/%s", r->lives[i]);
    if (r->store)
        n += snprintf(text + n, sizeof text - (size_t)n, "/store/%s/%lld",
                      qd_store_kind_name(r->store), (long long)r->since_ms);
    return qd_xxh3(text, n > 0 ? (size_t)n : 0);
}

static void write_text(const qd_authority_record *r, qd_buf *b)
{
    qd_json_writer w;
    char sum[17];
    snprintf(sum, sizeof sum, "%016llx", (unsigned long long)sum_of(r));
    qd_json_writer_init(&w, b, true);
    qd_json_object(&w);
    qd_json_field_c(&w, "cluster_uuid", r->uuid);
    qd_json_field_int(&w, "epoch", (int64_t)r->epoch);
    qd_json_field_int(&w, "revision", (int64_t)r->revision);
    qd_json_field_bool(&w, "refused", r->refused);
    qd_json_field_bool(&w, "accept_older", r->accept_older);
    if (r->lives[0][0]) {
        qd_json_key_c(&w, "starts");
        qd_json_array(&w);
        for (uint32_t i = 0; i < QD_AUTHORITY_LIVES && r->lives[i][0]; i++)
            qd_json_str(&w, qd_str_c(r->lives[i]));
        qd_json_array_end(&w);
    }
    if (r->store) {
        qd_json_field_c(&w, "store", qd_store_kind_name(r->store));
        qd_json_field_int(&w, "since_in_millis", r->since_ms);
    }
    qd_json_field_c(&w, "checksum", sum);
    qd_json_object_end(&w);
}

static uint64_t number(const qd_json_node *root, const char *key, bool *ok)
{
    uint64_t v = 0;
    const qd_json_node *n = qd_json_get(root, key);
    *ok &= n && n->type == QD_JSON_T_NUMBER && qd_str_u64(n->text, &v);
    return v;
}

/* A later version adds its members behind "checksum", and as the last one this: the hash of all
 * bytes before it. So what it has written is read here, and a bit that flipped is found. */
#define END "\n}"
static bool is_later(qd_str text, size_t from)
{
    char last[80];
    size_t n = sizeof "\"checksum_of_all\" : \"0123456789abcdef\"" END - 1;
    if (text.n < from + n || text.p[from] != ',') return false;
    (void)snprintf(last, sizeof last, "\"checksum_of_all\" : \"%016llx\"" END,
                   (unsigned long long)qd_xxh3(text.p, text.n - n));
    return memcmp(text.p + text.n - n, last, n) == 0;
}

/* The first byte that is not as write_text, or a later version's, writes this record; text.n: none.
 */
static size_t difference(qd_str text, const qd_authority_record *r)
{
    qd_buf b;
    size_t at = 0;
    qd_buf_init(&b, NULL, TEXT_MAX);
    write_text(r, &b);
    qd_str want = qd_buf_view(&b);
    while (at < text.n && at < want.n && text.p[at] == want.p[at]) at++;
    if (at < want.n && at == text.n) at = 0; /* cut */
    if (at + sizeof END - 1 == want.n && is_later(text, at)) at = text.n;
    qd_buf_fini(&b);
    return at;
}

static bool read_lives(const qd_json_node *root, qd_authority_record *out)
{
    const qd_json_node *list = qd_json_get(root, "starts");
    uint32_t n = 0;
    if (list && list->type != QD_JSON_T_ARRAY) return false;
    for (const qd_json_node *x = list ? list->first : NULL; x; x = x->next, n++) {
        if (n == QD_AUTHORITY_LIVES || x->type != QD_JSON_T_STRING || !x->text.n ||
            x->text.n >= QD_AUTHORITY_LIFE)
            return false;
        snprintf(out->lives[n], QD_AUTHORITY_LIFE, "%.*s", QD_STR_ARG(x->text));
    }
    return true;
}

/* Of records that name the store; older builds did not. */
static bool read_store(const qd_json_node *root, qd_authority_record *out)
{
    const qd_json_node *n = qd_json_get(root, "store");
    bool ok = true;
    if (!n) return true;
    out->store = qd_store_kind_parse(n->type == QD_JSON_T_STRING ? n->text : QD_STR(""));
    out->since_ms = (int64_t)number(root, "since_in_millis", &ok);
    return ok && out->store;
}

static int read_text(qd_str text, qd_authority_record *out, qd_err *err)
{
    qd_arena a;
    qd_json_node *root;
    char sum[17];
    qd_arena_init(&a, NULL, 1 << 20);
    int rc = qd_json_parse(&a, text, 4, &root, err);
    bool ok = rc == 0;
    if (ok) {
        const qd_json_node *uuid = qd_json_get(root, "cluster_uuid");
        const qd_json_node *older = qd_json_get(root, "accept_older");
        const qd_json_node *check = qd_json_get(root, "checksum");
        ok = uuid && uuid->type == QD_JSON_T_STRING && uuid->text.n < sizeof out->uuid;
        if (ok) snprintf(out->uuid, sizeof out->uuid, "%.*s", QD_STR_ARG(uuid->text));
        out->epoch = number(root, "epoch", &ok);
        out->revision = number(root, "revision", &ok);
        const qd_json_node *refused = qd_json_get(root, "refused");
        out->refused = refused && refused->truth;
        out->accept_older = older && older->truth;
        ok = read_lives(root, out) && ok;
        ok = read_store(root, out) && ok;
        snprintf(sum, sizeof sum, "%016llx", (unsigned long long)sum_of(out));
        ok = ok && check && check->type == QD_JSON_T_STRING && qd_str_is(check->text, sum);
    }
    qd_arena_fini(&a);
    size_t at = ok ? difference(text, out) : 0;
    if (ok && at == text.n) return 0;
    if (err) qd_err_fini(err);
    return qd_err_set(err, QD_E_CORRUPT,
                      "the record of the state that this node acted on (authority.json) is damaged "
                      "at offset %zu; check that the store in charge, of masters or in Kubernetes, "
                      "holds the newest state, then remove the file: the node takes the state that "
                      "its settings lead to (before qd master recover, too)",
                      at);
}

/* --- begin, end ------------------------------------------------------------------------------ */

int qd_authority_open(const qd_authority_files *files, qd_authority **out, qd_err *err)
{
    qd_buf b;
    qd_err why;
    qd_authority *a = qd_calloc(NULL, sizeof *a);
    if (!a) return qd_err_nomem(err, "authority");
    a->files = *files;
    qd_err_init(&why);
    qd_buf_init(&b, NULL, TEXT_MAX);
    int rc = files->read(files->arg, &b, &why);
    if (!rc) rc = read_text(qd_buf_view(&b), &a->now, &why);
    if (rc == QD_E_NOTFOUND) rc = 0;
    if (rc) qd_err_copy(err, &why);
    qd_buf_fini(&b);
    qd_err_fini(&why);
    if (rc) {
        qd_free(a);
        return rc;
    }
    qd_mutex_init(&a->lock);
    qd_mutex_init(&a->writing);
    *out = a;
    return 0;
}

int qd_authority_open_file(const char *path, qd_authority **out, qd_err *err)
{
    size_t n = strlen(path) + 1;
    char *copy = qd_alloc(NULL, n);
    if (!copy) return qd_err_nomem(err, "authority");
    memcpy(copy, path, n);
    qd_authority_files files = {file_read, file_write, copy};
    int rc = qd_authority_open(&files, out, err);
    if (rc) {
        qd_free(copy);
    } else {
        (*out)->path = copy;
    }
    return rc;
}

void qd_authority_close(qd_authority *a)
{
    if (!a) return;
    int rc = qd_authority_flush(a, NULL);
    (void)rc; /* what is not written makes the node more tolerant, never less safe in what it did */
    qd_mutex_fini(&a->lock);
    qd_mutex_fini(&a->writing);
    qd_free(a->path);
    qd_free(a);
}

void qd_authority_get(qd_authority *a, qd_authority_record *out)
{
    qd_mutex_lock(&a->lock);
    *out = a->now;
    qd_mutex_unlock(&a->lock);
}

/* --- checks, notes --------------------------------------------------------------------------- */

/* What the older store commits from now on is another history. */
static void refuse(qd_authority *a)
{
    qd_mutex_lock(&a->lock);
    a->now.refused = true;
    a->noted++;
    qd_mutex_unlock(&a->lock);
    int rc = qd_authority_flush(a, NULL);
    (void)rc; /* tried again with the next note */
}

int qd_authority_check(qd_authority *a, qd_str uuid, uint64_t epoch, uint64_t revision, qd_err *err)
{
    static const char how[] = "If it is right, stop this node and run: qd recover "
                              "--accept-older-state";
    qd_authority_record r;
    qd_authority_get(a, &r);
    if (r.accept_older || !r.uuid[0] || QD_MUTANT(cluster, OLDER_TAKEN)) return 0;
    if (!uuid.n) {
        return qd_err_set(err, QD_E_FENCED,
                          "this node belongs to the cluster with uuid [%s]; the store of the "
                          "masters is empty and knows no cluster. An empty store is never obeyed: "
                          "bring the masters' data back. %s",
                          r.uuid, how);
    }
    if (!qd_str_is(uuid, r.uuid)) {
        return qd_err_set(err, QD_E_FENCED,
                          "this node belongs to the cluster with uuid [%s]; the store of the "
                          "masters is that of [%.*s]: wrong addresses of masters, or a wrong "
                          "path.data. %s",
                          r.uuid, QD_STR_ARG(uuid), how);
    }
    if (epoch > r.epoch) return 0; /* raised by an operator, who has said what is lost */
    if (r.refused) {
        return qd_err_set(
            err, QD_E_FENCED,
            "this node has acted on the state of epoch %llu, revision %llu; the masters "
            "have shown an older one, as after a restore from a backup, and are not "
            "obeyed since. %s",
            (unsigned long long)r.epoch, (unsigned long long)r.revision, how);
    }
    if (epoch == r.epoch && revision >= r.revision) return 0;
    refuse(a);
    return qd_err_set(err, QD_E_FENCED,
                      "this node has acted on the state of epoch %llu, revision %llu; the masters "
                      "show the older one of epoch %llu, revision %llu, as after a restore from a "
                      "backup. It is not obeyed. %s",
                      (unsigned long long)r.epoch, (unsigned long long)r.revision,
                      (unsigned long long)epoch, (unsigned long long)revision, how);
}

int qd_authority_flush(qd_authority *a, qd_err *err)
{
    qd_buf b;
    int rc = 0;
    qd_mutex_lock(&a->writing);
    qd_mutex_lock(&a->lock);
    qd_authority_record r = a->now;
    uint64_t number = a->noted;
    bool needed = a->written < a->noted;
    qd_mutex_unlock(&a->lock);
    if (needed) {
        qd_buf_init(&b, NULL, TEXT_MAX);
        write_text(&r, &b);
        rc = qd_buf_status(&b);
        if (!rc) rc = a->files.write(a->files.arg, qd_buf_view(&b), err);
        qd_buf_fini(&b);
        qd_mutex_lock(&a->lock);
        if (!rc && a->written < number) a->written = number;
        qd_mutex_unlock(&a->lock);
    }
    qd_mutex_unlock(&a->writing);
    return rc;
}

bool qd_authority_remembers(qd_authority *a, qd_str life)
{
    qd_authority_record r;
    qd_authority_get(a, &r);
    bool found = !life.n || r.accept_older;
    for (uint32_t i = 0; i < QD_AUTHORITY_LIVES; i++) found |= qd_str_is(life, r.lives[i]);
    return found;
}

/* Becomes the newest of the list; the oldest goes when it is full. */
static void life_add(qd_authority_record *r, qd_str life)
{
    uint32_t i = 0;
    while (i < QD_AUTHORITY_LIVES - 1 && r->lives[i][0] && !qd_str_is(life, r->lives[i])) i++;
    memmove(r->lives[1], r->lives[0], i * sizeof r->lives[0]);
    snprintf(r->lives[0], sizeof r->lives[0], "%.*s", QD_STR_ARG(life));
}

int qd_authority_live(qd_authority *a, qd_str life, qd_str known, qd_err *err)
{
    qd_mutex_lock(&a->lock);
    qd_authority_record *r = &a->now;
    if (!qd_str_is(life, r->lives[0])) {
        if (known.n) life_add(r, known); /* however many starts never came so far as to be known */
        life_add(r, life);
        a->noted++;
    }
    qd_mutex_unlock(&a->lock);
    return qd_authority_flush(a, err);
}

int qd_authority_note(qd_authority *a, qd_str uuid, uint64_t epoch, uint64_t revision, bool durable,
                      qd_err *err)
{
    qd_mutex_lock(&a->lock);
    qd_authority_record *r = &a->now;
    bool other = !qd_str_is(uuid, r->uuid);
    bool higher = epoch > r->epoch || (epoch == r->epoch && revision > r->revision);
    if (uuid.n && (other || higher || r->accept_older)) {
        durable |= r->accept_older || other; /* the word of the operator holds once */
        snprintf(r->uuid, sizeof r->uuid, "%.*s", QD_STR_ARG(uuid));
        if (r->store && a->env && (other || epoch != r->epoch))
            r->since_ms = qd_env_wall_ms(a->env);
        r->epoch = epoch;
        r->revision = revision;
        r->accept_older = r->refused = false;
        a->noted++;
    }
    qd_mutex_unlock(&a->lock);
    return durable ? qd_authority_flush(a, err) : 0;
}

void qd_authority_store(qd_authority *a, qd_env *env, qd_store_kind kind)
{
    qd_mutex_lock(&a->lock);
    a->env = env;
    if (kind && kind != a->now.store) {
        a->now.store = kind;
        a->now.since_ms = qd_env_wall_ms(env);
        a->noted++;
    }
    qd_mutex_unlock(&a->lock);
}

int qd_authority_accept_older(qd_authority *a, qd_err *err)
{
    qd_mutex_lock(&a->lock);
    a->now.accept_older = true;
    a->now.refused = false;
    a->noted++;
    qd_mutex_unlock(&a->lock);
    return qd_authority_flush(a, err);
}
