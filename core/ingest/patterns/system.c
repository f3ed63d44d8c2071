/* system.c: syslog, cron, PAM, build and configuration tools, programs in Ruby. */
#include "ingest/patterns/patterns.h"

static const qdi_grok_pattern patterns[] = {
    {"SYSLOGTIMESTAMP", "%{MONTH} +%{MONTHDAY} %{TIME}"},
    {"PROG", "[\\x21-\\x5a\\x5c\\x5e-\\x7e]+"},
    {"SYSLOGPROG", "%{PROG:program}(?:\\[%{POSINT:pid}\\])?"},
    {"SYSLOGHOST", "%{IPORHOST}"},
    {"SYSLOGFACILITY", "<%{NONNEGINT:facility}.%{NONNEGINT:priority}>"},
    {"SYSLOGBASE",
     "%{SYSLOGTIMESTAMP:timestamp} (?:%{SYSLOGFACILITY} )?%{SYSLOGHOST:logsource} %{SYSLOGPROG}:"},
    {"SYSLOG5424PRINTASCII", "[!-~]+"},
    {"SYSLOGBASE2", "(?:%{SYSLOGTIMESTAMP:timestamp}|%{TIMESTAMP_ISO8601:timestamp8601})(?: "
                    "%{SYSLOGFACILITY})?(?: %{SYSLOGHOST:logsource})(?: %{SYSLOGPROG}:|)"},
    {"SYSLOGPAMSESSION",
     "%{SYSLOGBASE} (?=%{GREEDYDATA:message})%{WORD:pam_module}\\(%{DATA:pam_caller}\\): session "
     "%{WORD:pam_session_state} for user %{USERNAME:username}(?: by %{GREEDYDATA:pam_by})?"},
    {"CRON_ACTION", "[A-Z ]+"},
    {"CRONLOG", "%{SYSLOGBASE} \\(%{USER:user}\\) %{CRON_ACTION:action} \\(%{DATA:message}\\)"},
    {"SYSLOGLINE", "%{SYSLOGBASE2} %{GREEDYDATA:message}"},
    {"SYSLOG5424PRI", "<%{NONNEGINT:syslog5424_pri}>"},
    {"SYSLOG5424SD", "\\[%{DATA}\\]+"},
    {"SYSLOG5424BASE",
     "%{SYSLOG5424PRI}%{NONNEGINT:syslog5424_ver} +(?:-|%{TIMESTAMP_ISO8601:syslog5424_ts}) "
     "+(?:-|%{IPORHOST:syslog5424_host}) +(?:-|%{SYSLOG5424PRINTASCII:syslog5424_app}) "
     "+(?:-|%{SYSLOG5424PRINTASCII:syslog5424_proc}) "
     "+(?:-|%{SYSLOG5424PRINTASCII:syslog5424_msgid}) +(?:-|%{SYSLOG5424SD:syslog5424_sd})"},
    {"SYSLOG5424LINE", "%{SYSLOG5424BASE} +%{GREEDYDATA:syslog5424_msg}"},
    {"MAVEN_VERSION", "(?:(?:\\d+)\\.)?(?:(?:\\d+)\\.)?(?:\\*|\\d+)(?:[.-](?:RELEASE|SNAPSHOT))?"},
    {"MCOLLECTIVE",
     "., \\[%{TIMESTAMP_ISO8601:timestamp} #%{POSINT:pid}\\]%{SPACE}%{LOGLEVEL:event_level}"},
    {"MCOLLECTIVEAUDIT", "%{TIMESTAMP_ISO8601:timestamp}:"},
    {"RUUID", "\\h{32}"},
    {"RCONTROLLER", "(?<controller>[^#]+)#(?<action>\\w+)"},
    {"RAILS3HEAD", "(?m)Started %{WORD:verb} \"%{URIPATHPARAM:request}\" for %{IPORHOST:clientip} "
                   "at (?<timestamp>%{YEAR}-%{MONTHNUM}-%{MONTHDAY} %{HOUR}:%{MINUTE}:%{SECOND} "
                   "%{ISO8601_TIMEZONE})"},
    {"RPROCESSING", "\\W*Processing by %{RCONTROLLER} as (?<format>\\S+)(?:\\W*Parameters: "
                    "\\{%{DATA:params}\\}\\W*)?"},
    {"RAILS3FOOT",
     "Completed %{NUMBER:response}%{DATA} in %{NUMBER:totalms}ms %{RAILS3PROFILE}%{GREEDYDATA}"},
    {"RAILS3PROFILE", "(?:\\(Views: %{NUMBER:viewms}ms \\| ActiveRecord: "
                      "%{NUMBER:activerecordms}ms|\\(ActiveRecord: %{NUMBER:activerecordms}ms)?"},
    {"RAILS3", "%{RAILS3HEAD}(?:%{RPROCESSING})?(?<context>(?:%{DATA}\\n)*)(?:%{RAILS3FOOT})?"},
    {"RUBY_LOGLEVEL", "(?:DEBUG|FATAL|ERROR|WARN|INFO)"},
    {"RUBY_LOGGER", "[DFEWI], \\[%{TIMESTAMP_ISO8601:timestamp} #%{POSINT:pid}\\] "
                    "*%{RUBY_LOGLEVEL:loglevel} -- +%{DATA:progname}: %{GREEDYDATA:message}"},
};

static const qdi_grok_field fields[] = {
    {"program", "process.name"},
    {"pid", "process.pid:int"},
    {"facility", "log.syslog.facility.code:int"},
    {"priority", "log.syslog.priority:int"},
    {"logsource", "host.hostname"},
    {"timestamp8601", "timestamp"},
    {"pam_module", "system.auth.pam.module"},
    {"pam_caller", "system.auth.pam.origin"},
    {"pam_session_state", "system.auth.pam.session_state"},
    {"username", "user.name"},
    {"user", "user.name"},
    {"action", "system.cron.action"},
    {"syslog5424_pri", "log.syslog.priority:int"},
    {"syslog5424_ver", "system.syslog.version"},
    {"syslog5424_ts", "timestamp"},
    {"syslog5424_host", "host.hostname"},
    {"syslog5424_app", "process.name"},
    {"syslog5424_proc", "process.pid:int"},
    {"syslog5424_msgid", "event.code"},
    {"syslog5424_sd", "system.syslog.structured_data"},
    {"syslog5424_msg", "message"},
    {"event_level", "log.level"},
    {"loglevel", "log.level"},
    {"progname", "process.name"},
    {"verb", "http.request.method"},
    {"request", "url.original"},
    {"clientip", "source.address"},
    {"response", "http.response.status_code:int"},
    {"totalms", "rails.request.duration.total:float"},
    {"viewms", "rails.request.duration.view:float"},
    {"activerecordms", "rails.request.duration.active_record:float"},
    {"params", "rails.request.params"},
};

const qdi_grok_group qdi_grok_system = QDI_GROK_GROUP(patterns, fields);
