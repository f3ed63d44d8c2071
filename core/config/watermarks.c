/* watermarks.c: what values of a node must be, and to each other. */
#include "config/breakers_int.h"
#include "config/value.h"

typedef struct mark {
    const char *name;
    qd_set id;
    qd_str text;
    bool set, ratio;
    double share; /* of the disk in use */
    int64_t left; /* bytes to be free */
} mark;

static void read_mark(const qd_values *v, mark *m)
{
    qd_err unread;
    qd_err_init(&unread);
    m->text = qd_values_text(v, m->id);
    m->set = qd_values_is_set(v, m->id);
    m->ratio = qd_value_ratio(m->text, m->name, &m->share, &unread) == 0;
    if (!m->ratio) m->left = qd_values_space_free(v, m->id, 0);
    qd_err_fini(&unread);
}

static int check_pair(const mark *low, const mark *high, qd_err *err)
{
    if (low->ratio && low->share > high->share) {
        return qd_err_set(err, QD_E_ARG,
                          "%s disk watermark [%.*s] more than %s disk watermark [%.*s]", low->name,
                          QD_STR_ARG(low->text), high->name, QD_STR_ARG(high->text));
    }
    if (!low->ratio && low->left < high->left) {
        return qd_err_set(err, QD_E_ARG,
                          "%s disk watermark [%.*s] less than %s disk watermark [%.*s]", low->name,
                          QD_STR_ARG(low->text), high->name, QD_STR_ARG(high->text));
    }
    return 0;
}

static int check_marks(const qd_values *v, qd_err *err)
{
    mark m[3] = {{.name = "low", .id = QD_SET_DISK_LOW},
                 {.name = "high", .id = QD_SET_DISK_HIGH},
                 {.name = "flood stage", .id = QD_SET_DISK_FLOOD}};
    bool mixed = false;
    for (int i = 0; i < 3; i++) read_mark(v, &m[i]);
    for (int i = 1; i < 3; i++) mixed |= m[i].ratio != m[0].ratio;
    if (mixed) {
        return qd_err_set(err, QD_E_ARG,
                          "unable to consistently parse [%s=%.*s], [%s=%.*s], and [%s=%.*s] as "
                          "percentage or bytes",
                          qd_schema_node.defs[QD_SET_DISK_LOW].key, QD_STR_ARG(m[0].text),
                          qd_schema_node.defs[QD_SET_DISK_HIGH].key, QD_STR_ARG(m[1].text),
                          qd_schema_node.defs[QD_SET_DISK_FLOOD].key, QD_STR_ARG(m[2].text));
    }
    int rc = check_pair(&m[0], &m[1], err);
    return rc ? rc : check_pair(&m[1], &m[2], err);
}

/* Less than a second closes connections before their first request has come: nobody gets in. */
static int check_idle(const qd_values *v, qd_err *err)
{
    int64_t ns = qd_values_i64(v, QD_SET_HTTP_KEEP_ALIVE_TIMEOUT);
    if (ns == 0 || ns >= 1000000000) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "failed to parse value [%.*s] for setting [%s], must be 0 or >= [1s]",
                      QD_STR_ARG(qd_values_text(v, QD_SET_HTTP_KEEP_ALIVE_TIMEOUT)),
                      qd_schema_node.defs[QD_SET_HTTP_KEEP_ALIVE_TIMEOUT].key);
}

int qd_values_check(const qd_values *v, qd_err *err)
{
    int rc = check_marks(v, err);
    if (!rc) rc = check_idle(v, err);
    return rc ? rc : qdi_breaker_check(v, err);
}
