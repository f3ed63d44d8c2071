/* nagios.c: the log of Nagios: states, alerts, notifications, external commands. */
#include "ingest/patterns/patterns.h"

#define STATE                                                                                      \
    "%{DATA:nagios_state};%{DATA:nagios_statetype};%{DATA:nagios_statecode};%{GREEDYDATA:nagios_"  \
    "message}"
#define LINE(type) "%{" type ":nagios_type}: "
#define HOST "%{DATA:nagios_hostname};"
#define SERVICE "%{DATA:nagios_service};"
#define COMMAND(name) "%{NAGIOS_TYPE_EXTERNAL_COMMAND:nagios_type}: %{" name ":nagios_command};"
#define TO_HOST "%{GREEDYDATA:nagios_hostname}"

static const qdi_grok_pattern patterns[] = {
    {"NAGIOSTIME", "\\[%{NUMBER:nagios_epoch}\\]"},
    {"NAGIOS_TYPE_CURRENT_SERVICE_STATE", "CURRENT SERVICE STATE"},
    {"NAGIOS_TYPE_CURRENT_HOST_STATE", "CURRENT HOST STATE"},
    {"NAGIOS_TYPE_SERVICE_NOTIFICATION", "SERVICE NOTIFICATION"},
    {"NAGIOS_TYPE_HOST_NOTIFICATION", "HOST NOTIFICATION"},
    {"NAGIOS_TYPE_SERVICE_ALERT", "SERVICE ALERT"},
    {"NAGIOS_TYPE_HOST_ALERT", "HOST ALERT"},
    {"NAGIOS_TYPE_SERVICE_FLAPPING_ALERT", "SERVICE FLAPPING ALERT"},
    {"NAGIOS_TYPE_HOST_FLAPPING_ALERT", "HOST FLAPPING ALERT"},
    {"NAGIOS_TYPE_SERVICE_DOWNTIME_ALERT", "SERVICE DOWNTIME ALERT"},
    {"NAGIOS_TYPE_HOST_DOWNTIME_ALERT", "HOST DOWNTIME ALERT"},
    {"NAGIOS_TYPE_PASSIVE_SERVICE_CHECK", "PASSIVE SERVICE CHECK"},
    {"NAGIOS_TYPE_PASSIVE_HOST_CHECK", "PASSIVE HOST CHECK"},
    {"NAGIOS_TYPE_SERVICE_EVENT_HANDLER", "SERVICE EVENT HANDLER"},
    {"NAGIOS_TYPE_HOST_EVENT_HANDLER", "HOST EVENT HANDLER"},
    {"NAGIOS_TYPE_EXTERNAL_COMMAND", "EXTERNAL COMMAND"},
    {"NAGIOS_TYPE_TIMEPERIOD_TRANSITION", "TIMEPERIOD TRANSITION"},
    {"NAGIOS_EC_DISABLE_SVC_CHECK", "DISABLE_SVC_CHECK"},
    {"NAGIOS_EC_ENABLE_SVC_CHECK", "ENABLE_SVC_CHECK"},
    {"NAGIOS_EC_DISABLE_HOST_CHECK", "DISABLE_HOST_CHECK"},
    {"NAGIOS_EC_ENABLE_HOST_CHECK", "ENABLE_HOST_CHECK"},
    {"NAGIOS_EC_PROCESS_SERVICE_CHECK_RESULT", "PROCESS_SERVICE_CHECK_RESULT"},
    {"NAGIOS_EC_PROCESS_HOST_CHECK_RESULT", "PROCESS_HOST_CHECK_RESULT"},
    {"NAGIOS_EC_SCHEDULE_SERVICE_DOWNTIME", "SCHEDULE_SERVICE_DOWNTIME"},
    {"NAGIOS_EC_SCHEDULE_HOST_DOWNTIME", "SCHEDULE_HOST_DOWNTIME"},
    {"NAGIOS_EC_DISABLE_HOST_SVC_NOTIFICATIONS", "DISABLE_HOST_SVC_NOTIFICATIONS"},
    {"NAGIOS_EC_ENABLE_HOST_SVC_NOTIFICATIONS", "ENABLE_HOST_SVC_NOTIFICATIONS"},
    {"NAGIOS_EC_DISABLE_HOST_NOTIFICATIONS", "DISABLE_HOST_NOTIFICATIONS"},
    {"NAGIOS_EC_ENABLE_HOST_NOTIFICATIONS", "ENABLE_HOST_NOTIFICATIONS"},
    {"NAGIOS_EC_DISABLE_SVC_NOTIFICATIONS", "DISABLE_SVC_NOTIFICATIONS"},
    {"NAGIOS_EC_ENABLE_SVC_NOTIFICATIONS", "ENABLE_SVC_NOTIFICATIONS"},
    {"NAGIOS_WARNING", "Warning:%{SPACE}%{GREEDYDATA:nagios_message}"},
    {"NAGIOS_CURRENT_SERVICE_STATE", LINE("NAGIOS_TYPE_CURRENT_SERVICE_STATE") HOST SERVICE STATE},
    {"NAGIOS_CURRENT_HOST_STATE", LINE("NAGIOS_TYPE_CURRENT_HOST_STATE") HOST STATE},
    {"NAGIOS_SERVICE_NOTIFICATION",
     LINE("NAGIOS_TYPE_SERVICE_NOTIFICATION") "%{DATA:nagios_notifyname};" HOST
         SERVICE "%{DATA:nagios_state};%{DATA:nagios_contact};%{GREEDYDATA:nagios_message}"},
    {"NAGIOS_HOST_NOTIFICATION",
     LINE("NAGIOS_TYPE_HOST_NOTIFICATION") "%{DATA:nagios_notifyname};" HOST
                                           "%{DATA:nagios_state};%{DATA:nagios_contact};%{"
                                           "GREEDYDATA:nagios_message}"},
    {"NAGIOS_SERVICE_ALERT", LINE("NAGIOS_TYPE_SERVICE_ALERT") HOST SERVICE
     "%{DATA:nagios_state};%{DATA:nagios_statelevel};%{NUMBER:nagios_attempt};%{GREEDYDATA:nagios_"
     "message}"},
    {"NAGIOS_HOST_ALERT",
     LINE("NAGIOS_TYPE_HOST_ALERT") HOST "%{DATA:nagios_state};%{DATA:nagios_statelevel};%{NUMBER:"
                                         "nagios_attempt};%{GREEDYDATA:nagios_message}"},
    {"NAGIOS_SERVICE_FLAPPING_ALERT", LINE("NAGIOS_TYPE_SERVICE_FLAPPING_ALERT") HOST SERVICE
     "%{DATA:nagios_state};%{GREEDYDATA:nagios_message}"},
    {"NAGIOS_HOST_FLAPPING_ALERT", LINE("NAGIOS_TYPE_HOST_FLAPPING_ALERT") HOST
     "%{DATA:nagios_state};%{GREEDYDATA:nagios_message}"},
    {"NAGIOS_SERVICE_DOWNTIME_ALERT", LINE("NAGIOS_TYPE_SERVICE_DOWNTIME_ALERT") HOST SERVICE
     "%{DATA:nagios_state};%{GREEDYDATA:nagios_comment}"},
    {"NAGIOS_HOST_DOWNTIME_ALERT", LINE("NAGIOS_TYPE_HOST_DOWNTIME_ALERT") HOST
     "%{DATA:nagios_state};%{GREEDYDATA:nagios_comment}"},
    {"NAGIOS_PASSIVE_SERVICE_CHECK", LINE("NAGIOS_TYPE_PASSIVE_SERVICE_CHECK") HOST SERVICE
     "%{DATA:nagios_state};%{GREEDYDATA:nagios_comment}"},
    {"NAGIOS_PASSIVE_HOST_CHECK", LINE("NAGIOS_TYPE_PASSIVE_HOST_CHECK") HOST
     "%{DATA:nagios_state};%{GREEDYDATA:nagios_comment}"},
    {"NAGIOS_SERVICE_EVENT_HANDLER", LINE("NAGIOS_TYPE_SERVICE_EVENT_HANDLER") HOST SERVICE
     "%{DATA:nagios_state};%{DATA:nagios_statelevel};%{DATA:nagios_event_handler_name}"},
    {"NAGIOS_HOST_EVENT_HANDLER", LINE("NAGIOS_TYPE_HOST_EVENT_HANDLER") HOST
     "%{DATA:nagios_state};%{DATA:nagios_statelevel};%{DATA:nagios_event_handler_name}"},
    {"NAGIOS_TIMEPERIOD_TRANSITION", LINE("NAGIOS_TYPE_TIMEPERIOD_TRANSITION") SERVICE
     "%{NUMBER:nagios_unknown1};%{NUMBER:nagios_unknown2}"},
    {"NAGIOS_EC_LINE_DISABLE_SVC_CHECK",
     COMMAND("NAGIOS_EC_DISABLE_SVC_CHECK") HOST "%{DATA:nagios_service}"},
    {"NAGIOS_EC_LINE_DISABLE_HOST_CHECK",
     COMMAND("NAGIOS_EC_DISABLE_HOST_CHECK") "%{DATA:nagios_hostname}"},
    {"NAGIOS_EC_LINE_ENABLE_SVC_CHECK",
     COMMAND("NAGIOS_EC_ENABLE_SVC_CHECK") HOST "%{DATA:nagios_service}"},
    {"NAGIOS_EC_LINE_ENABLE_HOST_CHECK",
     COMMAND("NAGIOS_EC_ENABLE_HOST_CHECK") "%{DATA:nagios_hostname}"},
    {"NAGIOS_EC_LINE_PROCESS_SERVICE_CHECK_RESULT",
     COMMAND("NAGIOS_EC_PROCESS_SERVICE_CHECK_RESULT") HOST SERVICE
     "%{DATA:nagios_state};%{GREEDYDATA:nagios_check_result}"},
    {"NAGIOS_EC_LINE_PROCESS_HOST_CHECK_RESULT", COMMAND("NAGIOS_EC_PROCESS_HOST_CHECK_RESULT") HOST
     "%{DATA:nagios_state};%{GREEDYDATA:nagios_check_result}"},
    {"NAGIOS_EC_LINE_DISABLE_HOST_SVC_NOTIFICATIONS",
     COMMAND("NAGIOS_EC_DISABLE_HOST_SVC_NOTIFICATIONS") TO_HOST},
    {"NAGIOS_EC_LINE_DISABLE_HOST_NOTIFICATIONS",
     COMMAND("NAGIOS_EC_DISABLE_HOST_NOTIFICATIONS") TO_HOST},
    {"NAGIOS_EC_LINE_DISABLE_SVC_NOTIFICATIONS",
     COMMAND("NAGIOS_EC_DISABLE_SVC_NOTIFICATIONS") HOST "%{GREEDYDATA:nagios_service}"},
    {"NAGIOS_EC_LINE_ENABLE_HOST_SVC_NOTIFICATIONS",
     COMMAND("NAGIOS_EC_ENABLE_HOST_SVC_NOTIFICATIONS") TO_HOST},
    {"NAGIOS_EC_LINE_ENABLE_HOST_NOTIFICATIONS",
     COMMAND("NAGIOS_EC_ENABLE_HOST_NOTIFICATIONS") TO_HOST},
    {"NAGIOS_EC_LINE_ENABLE_SVC_NOTIFICATIONS",
     COMMAND("NAGIOS_EC_ENABLE_SVC_NOTIFICATIONS") HOST "%{GREEDYDATA:nagios_service}"},
    {"NAGIOS_EC_LINE_SCHEDULE_HOST_DOWNTIME", COMMAND("NAGIOS_EC_SCHEDULE_HOST_DOWNTIME") HOST
     "%{NUMBER:nagios_start_time};%{NUMBER:nagios_end_time};%{NUMBER:nagios_fixed};%{NUMBER:nagios_"
     "trigger_id};%{NUMBER:nagios_duration};%{DATA:author};%{DATA:comment}"},
    {"NAGIOSLOGLINE",
     "%{NAGIOSTIME} "
     "(?:%{NAGIOS_WARNING}|%{NAGIOS_CURRENT_SERVICE_STATE}|%{NAGIOS_CURRENT_HOST_STATE}|%{NAGIOS_"
     "SERVICE_NOTIFICATION}|%{NAGIOS_HOST_NOTIFICATION}|%{NAGIOS_SERVICE_ALERT}|%{NAGIOS_HOST_"
     "ALERT}|%{NAGIOS_SERVICE_FLAPPING_ALERT}|%{NAGIOS_HOST_FLAPPING_ALERT}|%{NAGIOS_SERVICE_"
     "DOWNTIME_ALERT}|%{NAGIOS_HOST_DOWNTIME_ALERT}|%{NAGIOS_PASSIVE_SERVICE_CHECK}|%{NAGIOS_"
     "PASSIVE_HOST_CHECK}|%{NAGIOS_SERVICE_EVENT_HANDLER}|%{NAGIOS_HOST_EVENT_HANDLER}|%{NAGIOS_"
     "TIMEPERIOD_TRANSITION}|%{NAGIOS_EC_LINE_DISABLE_SVC_CHECK}|%{NAGIOS_EC_LINE_ENABLE_SVC_CHECK}"
     "|%{NAGIOS_EC_LINE_DISABLE_HOST_CHECK}|%{NAGIOS_EC_LINE_ENABLE_HOST_CHECK}|%{NAGIOS_EC_LINE_"
     "PROCESS_HOST_CHECK_RESULT}|%{NAGIOS_EC_LINE_PROCESS_SERVICE_CHECK_RESULT}|%{NAGIOS_EC_LINE_"
     "SCHEDULE_HOST_DOWNTIME}|%{NAGIOS_EC_LINE_DISABLE_HOST_SVC_NOTIFICATIONS}|%{NAGIOS_EC_LINE_"
     "ENABLE_HOST_SVC_NOTIFICATIONS}|%{NAGIOS_EC_LINE_DISABLE_HOST_NOTIFICATIONS}|%{NAGIOS_EC_LINE_"
     "ENABLE_HOST_NOTIFICATIONS}|%{NAGIOS_EC_LINE_DISABLE_SVC_NOTIFICATIONS}|%{NAGIOS_EC_LINE_"
     "ENABLE_SVC_NOTIFICATIONS})"},
};

static const qdi_grok_field fields[] = {
    {"nagios_epoch", "timestamp"},
    {"nagios_type", "nagios.log.type"},
    {"nagios_command", "nagios.log.command"},
    {"nagios_hostname", "host.hostname"},
    {"nagios_service", "service.name"},
    {"nagios_state", "service.state"},
    {"nagios_statetype", "nagios.log.state_type"},
    {"nagios_statelevel", "nagios.log.state_type"},
    {"nagios_statecode", "nagios.log.state_code"},
    {"nagios_message", "message"},
    {"nagios_notifyname", "user.name"},
    {"nagios_contact", "nagios.log.notification_command"},
    {"nagios_attempt", "nagios.log.attempt:int"},
    {"nagios_comment", "nagios.log.comment"},
    {"nagios_check_result", "nagios.log.check_result"},
    {"nagios_event_handler_name", "nagios.log.event_handler_name"},
    {"nagios_unknown1", "nagios.log.period_from:int"},
    {"nagios_unknown2", "nagios.log.period_to:int"},
    {"nagios_start_time", "nagios.log.start_time"},
    {"nagios_end_time", "nagios.log.end_time"},
    {"nagios_fixed", "nagios.log.fixed"},
    {"nagios_trigger_id", "nagios.log.trigger_id"},
    {"nagios_duration", "nagios.log.duration:int"},
    {"author", "user.name"},
    {"comment", "nagios.log.comment"},
};

const qdi_grok_group qdi_grok_nagios = QDI_GROK_GROUP(patterns, fields);
