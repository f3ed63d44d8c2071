/* dictionary.c: MeCab's model of a dictionary. */
#include "mecab_int.h"
#include <strings.h>

static bool is_utf8(const char *charset)
{
    return !strcasecmp(charset, "UTF-8") || !strcasecmp(charset, "UTF8");
}

int32_t mecab_dictionary_open(const mecab_options *o, qd_str name, mecab_model_t **out, qd_err *err)
{
    char *argv[6];
    char program[] = "mecab", d[] = "-d", u[] = "-u";
    int argc = 0;
    argv[argc++] = program;
    if (o->dictionary) {
        argv[argc++] = d;
        argv[argc++] = o->dictionary;
    }
    if (o->user_dictionary) {
        argv[argc++] = u;
        argv[argc++] = o->user_dictionary;
    }
    mecab_model_t *m = mecab_model_new(argc, argv);
    if (!m) {
        const char *said = mecab_strerror(NULL);
        return MECAB_FAIL("[%.*s]: MeCab opens no dictionary (%s): install mecab-ipadic-utf8, or "
                          "name one by [dictionary]",
                          MECAB_STR(name), said && *said ? said : "it gives no reason");
    }
    for (const mecab_dictionary_info_t *i = mecab_model_dictionary_info(m); i; i = i->next) {
        if (is_utf8(i->charset)) continue;
        int32_t rc = MECAB_FAIL("[%.*s]: the dictionary [%s] is of the charset [%s], not UTF-8",
                                MECAB_STR(name), i->filename, i->charset);
        mecab_model_destroy(m);
        return rc;
    }
    *out = m;
    return 0;
}
