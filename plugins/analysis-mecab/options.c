/* options.c: the options of a tokenizer. */
#include "mecab_int.h"

static char *copied(qd_self *self, qd_str dir, qd_str s)
{
    size_t at = dir.n ? dir.n + 1 : 0;
    char *p = (char *)mecab_mem->alloc(self, at + s.n + 1);
    if (!p) return NULL;
    if (at) {
        memcpy(p, dir.p, dir.n);
        p[dir.n] = '/';
    }
    memcpy(p + at, s.p, s.n);
    p[at + s.n] = 0;
    return p;
}

static int32_t form_of(const qd_analyzer_config *c, qd_str v, mecab_form *out, qd_err *err)
{
    static const char *const names[] = {"surface", "base", "reading", "pronunciation"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (!qd_plug_is(v, names[i])) continue;
        *out = (mecab_form)i;
        return 0;
    }
    return MECAB_FAIL("[%.*s]: form is surface, base, reading or pronunciation, not [%.*s]",
                      MECAB_STR(c->name), MECAB_STR(v));
}

static int32_t bool_of(const qd_analyzer_config *c, const qd_pair *o, bool *out, qd_err *err)
{
    *out = qd_plug_is(o->value, "true");
    if (*out || qd_plug_is(o->value, "false")) return 0;
    return MECAB_FAIL("[%.*s]: [%.*s] is true or false, not [%.*s]", MECAB_STR(c->name),
                      MECAB_STR(o->key), MECAB_STR(o->value));
}

/* A path below the configuration's folder: settings of an index name no other file of the node. */
static int32_t path_of(qd_self *self, const qd_analyzer_config *c, const qd_pair *o, char **out,
                       qd_err *err)
{
    qd_str v = o->value;
    bool out_of_it = !v.n || v.p[0] == '/' || memchr(v.p, 0, v.n);
    for (size_t i = 0; i + 1 < v.n; i++)
        if (v.p[i] == '.' && v.p[i + 1] == '.') out_of_it = true;
    if (out_of_it)
        return MECAB_FAIL("[%.*s]: [%.*s] is a path below the folder of the configuration, not "
                          "[%.*s]",
                          MECAB_STR(c->name), MECAB_STR(o->key), MECAB_STR(v));
    mecab_mem->free(*out);
    *out = copied(self, c->config_dir, v);
    return *out ? 0 : QD_E_NOMEM;
}

static int32_t tags_of(qd_self *self, const qd_analyzer_config *c, mecab_options *o)
{
    size_t n = 1, at = 0;
    for (uint32_t i = 0; i < c->noptions; i++)
        if (qd_plug_is(c->options[i].key, "stoptags")) n += c->options[i].value.n + 1;
    o->stoptags = (char *)mecab_mem->alloc(self, n);
    if (!o->stoptags) return QD_E_NOMEM;
    for (uint32_t i = 0; i < c->noptions; i++) {
        qd_str v = c->options[i].value;
        if (!qd_plug_is(c->options[i].key, "stoptags") || !v.n) continue;
        memcpy(o->stoptags + at, v.p, v.n);
        at += v.n;
        o->stoptags[at++] = 0;
    }
    o->stoptags[at] = 0;
    return 0;
}

int32_t mecab_options_read(qd_self *self, const qd_analyzer_config *c, mecab_options *o,
                           qd_err *err)
{
    *o = (mecab_options){0};
    int32_t rc = 0;
    bool discards = true;
    for (uint32_t i = 0; i < c->noptions && !rc; i++) {
        const qd_pair *x = &c->options[i];
        if (qd_plug_is(x->key, "type") || qd_plug_is(x->key, "stoptags")) continue;
        if (qd_plug_is(x->key, "form"))
            rc = form_of(c, x->value, &o->form, err);
        else if (qd_plug_is(x->key, "discard_punctuation"))
            rc = bool_of(c, x, &discards, err);
        else if (qd_plug_is(x->key, "dictionary"))
            rc = path_of(self, c, x, &o->dictionary, err);
        else if (qd_plug_is(x->key, "user_dictionary"))
            rc = path_of(self, c, x, &o->user_dictionary, err);
        else
            rc = MECAB_FAIL("[%.*s]: the option [%.*s] is not supported by this version",
                            MECAB_STR(c->name), MECAB_STR(x->key));
    }
    o->keeps_punctuation = !discards;
    return rc ? rc : tags_of(self, c, o);
}

void mecab_options_fini(mecab_options *o)
{
    mecab_mem->free(o->stoptags);
    mecab_mem->free(o->dictionary);
    mecab_mem->free(o->user_dictionary);
}
