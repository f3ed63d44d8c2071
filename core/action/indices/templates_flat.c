/* templates_flat.c: templates as flat_settings shows them. See templates_int.h. */
#include "action/indices/indices_int.h"
#include "action/indices/templates_int.h"
#include "base/str.h"
#include "json/tree.h"

static void write_settings(const qd_json_node *n, qd_json_writer *w)
{
    qd_settings *s = NULL;
    if (qdi_settings_of(n, &s, NULL) == 0)
        qd_settings_write(s, w, true, NULL, NULL);
    else
        qd_json_raw_value(w, n->raw);
    qd_settings_unref(s);
}

void qdi_template_flat(qd_arena *arena, qd_str stored, bool inner, qd_json_writer *w)
{
    qd_json_node *root;
    if (qd_json_parse(arena, stored, 0, &root, NULL)) {
        qd_json_raw_value(w, stored);
        return;
    }
    qd_json_object(w);
    for (const qd_json_node *n = root->first; n; n = n->next) {
        qd_json_key(w, n->key);
        if (!inner && qd_str_is(n->key, "settings"))
            write_settings(n, w);
        else if (inner && qd_str_is(n->key, "template"))
            qdi_template_flat(arena, n->raw, false, w);
        else
            qd_json_raw_value(w, n->raw);
    }
    qd_json_object_end(w);
}
