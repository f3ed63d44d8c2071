/*
 * mapping_fuzz.c: the first line is a mapping, the second a document, the third an update of the
 * mapping. What is accepted must be written so that it reads back to the same; what documents add
 * must be mergeable.
 */
#include "mapping/doc_parser.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_document(qd_mapping *m, qd_str json)
{
    qd_doc_parser *p = qd_doc_parser_make(NULL);
    qd_doc_input in = {.source = json, .id = QD_STR("1"), .has_routing = true};
    qd_doc_result result;
    qd_err e;
    qd_err_init(&e);
    qd_assert(p != NULL);
    int rc = qd_doc_parse(p, m, &in, &(qd_doc_sink){0}, &result, &e);
    qd_assert(rc == 0 || qd_err_reason(&e)[0]);
    if (rc == 0 && result.merged) {
        qd_doc_result again;
        qd_assert(qd_doc_parse(p, result.merged, &in, &(qd_doc_sink){0}, &again, NULL) == 0 &&
                  !again.merged);
        qd_mapping_unref(result.merged);
    }
    qd_str source;
    if (rc == 0) qd_assert(qd_doc_source(p, m, json, &source, NULL) == 0);
    qd_err_fini(&e);
    qd_doc_parser_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static qd_analyzers *analyzers;
    if (!analyzers) qd_assert(qd_analyzers_make(NULL, 0, NULL, &analyzers, NULL) == 0);
    qd_str rest = {(const char *)data, size};
    qd_str map = qd_str_split(&rest, '\n'), document = qd_str_split(&rest, '\n');
    qd_mapping_settings s = QD_MAPPING_SETTINGS_DEFAULT;
    qd_mapping *m = NULL, *again = NULL, *merged = NULL;
    qd_err e;
    qd_err_init(&e);
    if (qd_mapping_parse(map, analyzers, &s, QD_MAPPING_UPDATE, &m, &e) == 0) {
        qd_assert(qd_mapping_parse(qd_mapping_json(m), analyzers, &s, QD_MAPPING_UPDATE, &again,
                                   NULL) == 0);
        qd_assert(qd_str_eq(qd_mapping_json(m), qd_mapping_json(again)));
        qd_mapping_unref(again);
        try_document(m, document);
        if (rest.p && qd_mapping_merge(m, rest, QD_MAPPING_UPDATE, &merged, &e) == 0) {
            for (uint32_t i = 0; i < qd_mapping_nfields(m); i++) {
                qd_assert(qd_str_eq(qd_mapping_field_at(m, i)->name,
                                    qd_mapping_field_at(merged, i)->name));
            }
            try_document(merged, document);
            qd_mapping_unref(merged);
        }
        qd_mapping_unref(m);
    }
    qd_err_fini(&e);
    return 0;
}
