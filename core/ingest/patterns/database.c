/* database.c: logs of MongoDB, PostgreSQL and Redis. */
#include "ingest/patterns/patterns.h"

static const qdi_grok_pattern patterns[] = {
    {"MONGO_LOG", "%{SYSLOGTIMESTAMP:timestamp} \\[%{WORD:component}\\] %{GREEDYDATA:message}"},
    {"MONGO_QUERY", "\\{ (?<={ ).*(?= } ntoreturn:) \\}"},
    {"MONGO_SLOWQUERY",
     "%{WORD} %{MONGO_WORDDASH:database}\\.%{MONGO_WORDDASH:collection} %{WORD}: "
     "%{MONGO_QUERY:query} %{WORD}:%{NONNEGINT:ntoreturn} %{WORD}:%{NONNEGINT:ntoskip} "
     "%{WORD}:%{NONNEGINT:nscanned}.*nreturned:%{NONNEGINT:nreturned}..+ (?<duration>[0-9]+)ms"},
    {"MONGO_WORDDASH", "\\b[\\w-]+\\b"},
    {"MONGO3_SEVERITY", "\\w"},
    {"MONGO3_COMPONENT", "%{WORD}"},
    {"MONGO3_LOG",
     "%{TIMESTAMP_ISO8601:timestamp} %{MONGO3_SEVERITY:severity} "
     "(?:-|%{MONGO3_COMPONENT:component})%{SPACE}(?:\\[%{DATA:context}\\])? %{GREEDYDATA:message}"},
    {"POSTGRESQL",
     "%{DATESTAMP:timestamp} %{TZ} %{DATA:user_id} %{GREEDYDATA:connection_id} %{POSINT:pid}"},
    {"REDISTIMESTAMP", "%{MONTHDAY} %{MONTH} %{TIME}"},
    {"REDISLOG", "\\[%{POSINT:pid}\\] %{REDISTIMESTAMP:timestamp} \\* "},
    {"REDISMONLOG", "%{NUMBER:timestamp} \\[%{INT:database} %{IP:client}:%{NUMBER:port}\\] "
                    "\"%{WORD:command}\"\\s?%{GREEDYDATA:params}"},
};

static const qdi_grok_field fields[] = {
    {"component", "mongodb.component"},
    {"database", "mongodb.database"},
    {"collection", "mongodb.collection"},
    {"query", "mongodb.query.original"},
    {"ntoreturn", "mongodb.profile.ntoreturn:int"},
    {"ntoskip", "mongodb.profile.ntoskip:int"},
    {"nscanned", "mongodb.profile.nscanned:int"},
    {"nreturned", "mongodb.profile.nreturned:int"},
    {"severity", "log.level"},
    {"context", "mongodb.context"},
    {"user_id", "postgresql.log.user"},
    {"connection_id", "postgresql.log.connection_id"},
    {"pid", "process.pid:int"},
    {"client", "client.ip"},
    {"port", "client.port:int"},
    {"command", "redis.command.name"},
    {"params", "redis.command.args"},
};

const qdi_grok_group qdi_grok_database = QDI_GROK_GROUP(patterns, fields);
