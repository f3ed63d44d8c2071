/* stats_analysis.c: see stats_analysis.h. */
#include "action/cluster/stats_analysis.h"
#include "base/map.h"
#include "base/vec.h"
#include "json/tree.h"
#include <stdio.h>
#include <stdlib.h>

enum { CHAR_FILTER, TOKENIZER, FILTER, ANALYZER, KINDS };
static const char *const kinds[KINDS] = {"char_filter", "tokenizer", "filter", "analyzer"};

typedef struct used {
    qd_str name;
    uint32_t count, indices, last; /* last: the index that was counted last, from 1 */
} used;

typedef struct counting {
    qd_arena *arena;
    QD_VEC(used) lists[2 * KINDS]; /* types, then built-in parts, of each kind */
    const qd_index_meta *index;
    uint32_t number;
} counting;

static void count(counting *c, uint32_t list, qd_str name)
{
    used *u = NULL;
    for (size_t i = 0; i < c->lists[list].n && !u; i++)
        if (qd_str_eq(c->lists[list].at[i].name, name)) u = &c->lists[list].at[i];
    if (!u) {
        used fresh = {.name = qd_arena_str(c->arena, name)};
        if (!fresh.name.p || qd_vec_push(&c->lists[list], NULL, fresh)) return;
        u = &c->lists[list].at[c->lists[list].n - 1];
    }
    u->count++;
    u->indices += u->last != c->number;
    u->last = c->number;
}

/* Does the index define a part of that name itself? */
static bool is_own(const counting *c, uint32_t kind, qd_str name)
{
    char key[512];
    int n = snprintf(key, sizeof key, "index.analysis.%s.%.*s.", kinds[kind], QD_STR_ARG(name));
    if (n < 0 || (size_t)n >= sizeof key) return true;
    size_t found;
    (void)qd_settings_group(c->index->settings, (qd_str){key, (size_t)n}, &found);
    return found > 0;
}

static void refer(counting *c, uint32_t kind, qd_str name)
{
    if (name.n && !is_own(c, kind, name)) count(c, KINDS + kind, name);
}

/* Members of an analyzer: the parts that it names. One without a type is of type custom. */
static void count_analyzer(counting *c, qd_str property, const qd_setting_value *v)
{
    for (uint32_t k = 0; k < ANALYZER; k++) {
        if (!qd_str_is(property, kinds[k])) continue;
        if (!v->items) refer(c, k, v->text);
        for (uint32_t i = 0; v->items && i < v->n; i++) refer(c, k, v->items[i]);
    }
}

static void count_settings(counting *c)
{
    const qd_settings *s = c->index->settings;
    size_t n_of;
    size_t from = qd_settings_group(s, QD_STR("index.analysis."), &n_of);
    for (size_t i = from; i < from + n_of; i++) {
        const qd_setting_value *v = qd_settings_at(s, i);
        uint32_t kind = 0;
        qd_str rest = qd_str_sub(v->key, sizeof "index.analysis." - 1, v->key.n);
        qd_str of = qd_str_split(&rest, '.');
        qd_str name = qd_str_split(&rest, '.');
        while (kind < KINDS && !qd_str_is(of, kinds[kind])) kind++;
        if (kind == KINDS) continue;
        if (qd_str_is(rest, "type")) count(c, kind, v->text);
        if (kind != ANALYZER) continue;
        count_analyzer(c, rest, v);
        char key[512];
        int n = snprintf(key, sizeof key, "index.analysis.analyzer.%.*s.type", QD_STR_ARG(name));
        bool typed = n < 0 || (size_t)n >= sizeof key ||
                     qd_settings_get(s, (qd_str){key, (size_t)n}) != NULL;
        if (!typed && qd_str_is(rest, "tokenizer")) count(c, ANALYZER, QD_STR("custom"));
    }
}

static void count_fields(counting *c, const qd_json_node *n)
{
    static const char *const keys[] = {"analyzer", "search_analyzer", "search_quote_analyzer"};
    for (const qd_json_node *k = n->first; k; k = k->next) {
        for (size_t i = 0; i < QD_COUNT_OF(keys); i++)
            if (k->type == QD_JSON_T_STRING && qd_str_is(k->key, keys[i]))
                refer(c, ANALYZER, k->text);
        if (k->type == QD_JSON_T_OBJECT && !qd_str_is(k->key, "_meta")) count_fields(c, k);
    }
}

static void count_mapping(counting *c)
{
    qd_arena arena;
    qd_json_node *root;
    qd_str json = qd_mapping_json(c->index->mapping);
    if (qd_str_find_str(json, QD_STR("analyzer")) < 0) return;
    qd_arena_init(&arena, NULL, 0);
    if (!qd_json_parse(&arena, json, 0, &root, NULL)) count_fields(c, root);
    qd_arena_fini(&arena);
}

static int by_name(const void *a, const void *b)
{
    return qd_str_cmp(((const used *)a)->name, ((const used *)b)->name);
}

void qdi_stats_analysis_write(const qd_request *q, const qd_state *s, qd_json_writer *w)
{
    counting c = {.arena = q->arena};
    for (uint32_t i = 0; i < s->n; i++) {
        c.index = s->indices[i];
        c.number = i + 1;
        count_settings(&c);
        count_mapping(&c);
    }
    qd_json_key_c(w, "analysis");
    qd_json_object(w);
    for (uint32_t k = 0; k < 2 * KINDS; k++) {
        char key[40];
        snprintf(key, sizeof key, k < KINDS ? "%s_types" : "built_in_%ss", kinds[k % KINDS]);
        if (c.lists[k].n) qsort(c.lists[k].at, c.lists[k].n, sizeof(used), by_name);
        qd_json_key_c(w, key);
        qd_json_array(w);
        for (size_t i = 0; i < c.lists[k].n; i++) {
            qd_json_object(w);
            qd_json_field_str(w, "name", c.lists[k].at[i].name);
            qd_json_field_int(w, "count", c.lists[k].at[i].count);
            qd_json_field_int(w, "index_count", c.lists[k].at[i].indices);
            qd_json_object_end(w);
        }
        qd_json_array_end(w);
        qd_vec_fini(&c.lists[k]);
    }
    qd_json_object_end(w);
}
