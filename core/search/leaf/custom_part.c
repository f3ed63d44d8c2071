/*
 * custom_part.c: index parts of fields as operators that iterate see them. Bytes and reader of a
 * part are the iterator's, as it uses them without a call of ours.
 */
#include "mapping/field.h"
#include "search/leaf/custom_int.h"
#include "segment/segment.h"

struct qdi_custom_part {
    struct qdi_custom_part *next;
    qd_part_view view;
    qd_part_type type;
    qd_part_reader *reader;
};

/* The segment's part of a field, of which the iterator keeps all that is used later. */
static int open_part(qdi_custom_iter *it, qd_str field, struct qdi_custom_part **out, qd_err *err)
{
    const struct qdi_custom *c = it->host;
    qd_segment *seg = c->run->leaf->segment;
    uint32_t f = qd_segment_field_find(seg, field);
    const qd_part_info *info = f == QD_FIELD_NONE ? NULL : qd_segment_part_of(seg, f);
    if (!info) return QD_E_NOTFOUND;
    struct qdi_custom_part *p = qd_arena_calloc(&it->arena, sizeof *p);
    if (!p) return qd_err_nomem(err, "index part");
    if (!qd_field_part_find(qd_plugin_self_host(it->call.self), info->type, &p->type))
        return qd_err_set(err, QD_E_PLUGIN,
                          "field [%.*s] has an index part of the type [%.*s], which no loaded "
                          "plugin provides",
                          QD_STR_ARG(field), QD_STR_ARG(info->type));
    int rc = qd_part_view_open(&p->view, seg, info, &it->arena, it->arena.account, err);
    if (rc) return rc;
    p->view.segment = qd_segment_ref(seg);
    p->next = it->parts;
    it->parts = p;
    *out = p;
    return 0;
}

static int32_t view_part(const qd_segment_view *v, qd_str field, qd_str *type, qd_part_reader **out,
                         const qd_part_bytes **bytes, qd_err *err)
{
    qdi_custom_iter *it = v->host;
    struct qdi_custom_part *p = NULL;
    if (!qd_guest_enter()) return qdi_custom_gone(err);
    int32_t rc = open_part(it, field, &p, err);
    qd_guest_leave();
    if (!rc) rc = qd_part_open(&p->view, &p->type, &p->reader, err);
    if (rc) return rc;
    *type = p->view.info->type;
    *out = p->reader;
    *bytes = &p->view.bytes;
    return 0;
}

void qdi_custom_parts_close(qdi_custom_iter *it)
{
    for (struct qdi_custom_part *p = it->parts; p; p = p->next) {
        if (p->reader) p->type.vt->close(p->reader);
        qd_part_view_close(&p->view);
        qd_segment_unref(p->view.segment);
    }
    it->parts = NULL;
}

void qdi_custom_view_parts(qd_segment_view *v)
{
    v->part = view_part;
}
