/*
 * patterns.h: named patterns of grok, by what they are of. A group names the fields that its
 * patterns make as of old, and what these are called in the Elastic Common Schema.
 */
#ifndef QD_INGEST_PATTERNS_H
#define QD_INGEST_PATTERNS_H

#include <stdint.h>

typedef struct qdi_grok_pattern {
    const char *name, *text;
} qdi_grok_pattern;
typedef struct qdi_grok_field {
    const char *legacy, *ecs; /* ecs may end with a type: "a.b:int" */
} qdi_grok_field;
typedef struct qdi_grok_group {
    const qdi_grok_pattern *patterns;
    uint32_t npatterns;
    const qdi_grok_field *fields;
    uint32_t nfields;
} qdi_grok_group;

extern const qdi_grok_group qdi_grok_basic, qdi_grok_web, qdi_grok_system, qdi_grok_database,
    qdi_grok_firewall, qdi_grok_cisco, qdi_grok_nagios, qdi_grok_bacula, qdi_grok_mail,
    qdi_grok_network;

#define QDI_GROK_GROUP(patterns, fields)                                                           \
    {                                                                                              \
        patterns, sizeof(patterns) / sizeof(patterns)[0], fields,                                  \
            sizeof(fields) / sizeof(fields)[0]                                                     \
    }

#endif
