/* mail.c: logs of Exim. */
#include "ingest/patterns/patterns.h"

static const qdi_grok_pattern patterns[] = {
    {"EXIM_MSGID", "[0-9A-Za-z]{6}-[0-9A-Za-z]{6}-[0-9A-Za-z]{2}"},
    {"EXIM_FLAGS", "(?:<=|=>|->|\\*>|\\*\\*|==|<>|>>)"},
    {"EXIM_DATE",
     "%{YEAR:exim_year}-%{MONTHNUM:exim_month}-%{MONTHDAY:exim_day} %{TIME:exim_time}"},
    {"EXIM_PID", "\\[%{POSINT:pid}\\]"},
    {"EXIM_QT", "(?:(?:\\d+y)?(?:\\d+w)?(?:\\d+d)?(?:\\d+h)?(?:\\d+m)?(?:\\d+s)?)"},
    {"EXIM_EXCLUDE_TERMS",
     "Message is frozen|(?:Start|End) queue run|Warning: purging the environment|unexpected "
     "disconnection|no (?:IP address|host name) found|SMTP (?:protocol|data) "
     "(?:error|timeout)|.*[Hh]ost name lookup.*"},
    {"EXIM_REMOTE_HOST",
     "(?:H=(?:%{NOTSPACE:remote_hostname} )?(?:\\(%{NOTSPACE:remote_heloname}\\) "
     ")?\\[%{IP:remote_host}\\](?::%{POSINT:remote_port})?)"},
    {"EXIM_INTERFACE", "(?:I=\\[%{IP:exim_interface}\\](?::%{NUMBER:exim_interface_port}))"},
    {"EXIM_PROTOCOL", "(?:P=%{NOTSPACE:protocol})"},
    {"EXIM_MSG_SIZE", "(?:S=%{NUMBER:exim_msg_size})"},
    {"EXIM_HEADER_ID", "(?:id=%{NOTSPACE:exim_header_id})"},
    {"EXIM_QUOTED_CONTENT", "(?:\\\\.|[^\\\\\"])*"},
    {"EXIM_SUBJECT", "(?:T=\"%{EXIM_QUOTED_CONTENT:exim_subject}\")"},
    {"EXIM_UNKNOWN_FIELD", "(?:[A-Za-z0-9]{1,4}=(?:%{QUOTEDSTRING}|%{NOTSPACE}))"},
    {"EXIM_NAMED_FIELDS", "(?: "
                          "(?:%{EXIM_REMOTE_HOST}|%{EXIM_INTERFACE}|%{EXIM_PROTOCOL}|%{EXIM_MSG_"
                          "SIZE}|%{EXIM_HEADER_ID}|%{EXIM_SUBJECT}|%{EXIM_UNKNOWN_FIELD}))*"},
    {"EXIM_MESSAGE_ARRIVAL",
     "%{EXIM_DATE:timestamp} (?:%{EXIM_PID} )?%{EXIM_MSGID:exim_msgid} (?<exim_flags><=) "
     "(?:<>|%{EMAILADDRESS:exim_sender_email}) ?(?:%{EXIM_NAMED_FIELDS})"},
    {"EXIM", "%{EXIM_MESSAGE_ARRIVAL}"},
};

static const qdi_grok_field fields[] = {
    {"pid", "process.pid:int"},
    {"remote_hostname", "source.address"},
    {"remote_heloname", "exim.log.remote_address"},
    {"remote_host", "source.ip"},
    {"remote_port", "source.port:int"},
    {"exim_interface", "destination.ip"},
    {"exim_interface_port", "destination.port:int"},
    {"protocol", "network.protocol"},
    {"exim_msg_size", "exim.log.message.size:int"},
    {"exim_header_id", "exim.log.header_id"},
    {"exim_subject", "exim.log.message.subject"},
    {"exim_msgid", "exim.log.message.id"},
    {"exim_flags", "exim.log.flags"},
    {"exim_sender_email", "exim.log.sender.email"},
};

const qdi_grok_group qdi_grok_mail = QDI_GROK_GROUP(patterns, fields);
