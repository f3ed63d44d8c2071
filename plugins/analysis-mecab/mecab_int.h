/* mecab_int.h: what the files of the plugin share. */
#ifndef MECAB_INT_H
#define MECAB_INT_H

#include <mecab.h>
#include <quidditch/analyzer.h>
#include <quidditch/plugin.h>
#include <stdbool.h>
#include <string.h>

extern const qd_svc_mem *mecab_mem;
extern const qd_svc_err *mecab_errs;
extern const qd_tokenizer_vtable mecab_tokenizer;

#define MECAB_FAIL(...) qd_plug_fail(mecab_errs, err, QD_E_ARG, __VA_ARGS__)
#define MECAB_STR(s) (int)(s).n, (s).p

/* What becomes the term of a word. */
typedef enum mecab_form {
    MECAB_SURFACE,      /* as the text has it */
    MECAB_BASE,         /* its dictionary form */
    MECAB_READING,      /* in katakana */
    MECAB_PRONUNCIATION /* as it is spoken, in katakana */
} mecab_form;

typedef struct mecab_options {
    mecab_form form;
    bool keeps_punctuation;
    char *stoptags; /* parts of speech, each ended by a NUL, the last by two; owned */
    char *dictionary, *user_dictionary; /* paths; NULL: the system's, none; owned */
} mecab_options;

/* Reads the options of an instance; whatever rc is, mecab_options_fini ends out. [worker] */
int32_t mecab_options_read(qd_self *self, const qd_analyzer_config *c, mecab_options *out,
                           qd_err *err);
void mecab_options_fini(mecab_options *o);

/* Opens the model of a dictionary; QD_E_ARG says what MeCab found. [worker] */
int32_t mecab_dictionary_open(const mecab_options *o, qd_str name, mecab_model_t **out,
                              qd_err *err);

#endif
