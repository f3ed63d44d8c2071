/* cisco.c: messages of Cisco's firewalls, by their numbers. */
#include "ingest/patterns/patterns.h"

#define SRC "%{IP:src_ip}/%{INT:src_port}"
#define DST "%{IP:dst_ip}/%{INT:dst_port}"
#define SRC_AT "%{DATA:src_interface}:" SRC
#define DST_AT "%{DATA:dst_interface}:" DST
#define UNIT "\\((?:Primary|Secondary)\\)"
#define LONG_SRC                                                                                   \
    "%{DATA:src_interface}:%{IP:src_ip}(?:/%{INT:src_port})?(?:\\(%{DATA:src_fwuser}\\))?"
#define LONG_DST                                                                                   \
    "%{DATA:dst_interface}:%{IP:dst_ip}(?:/%{INT:dst_port})?(?:\\(%{DATA:dst_fwuser}\\))?"

static const qdi_grok_pattern patterns[] = {
    {"CISCO_TAGGED_SYSLOG", "^<%{POSINT:syslog_pri}>%{CISCOTIMESTAMP:timestamp}(?: "
                            "%{SYSLOGHOST:sysloghost})? ?: %%{CISCOTAG:ciscotag}:"},
    {"CISCOTIMESTAMP", "%{MONTH} +%{MONTHDAY}(?: %{YEAR})? %{TIME}"},
    {"CISCOTAG", "[A-Z0-9]+-%{INT}-(?:[A-Z0-9_]+)"},
    {"CISCO_ACTION", "Built|Teardown|Deny|Denied|denied|requested|permitted|denied by "
                     "ACL|discarded|est-allowed|Dropping|created|deleted"},
    {"CISCO_REASON", "Duplicate TCP SYN|Failed to locate egress interface|Invalid transport "
                     "field|No matching connection|DNS Response|DNS Query|(?:%{WORD}\\s*)*"},
    {"CISCO_DIRECTION", "Inbound|inbound|Outbound|outbound"},
    {"CISCO_INTERVAL", "first hit|%{INT}-second interval"},
    {"CISCO_XLATE_TYPE", "static|dynamic"},
    {"CISCO_HITCOUNT_INTERVAL",
     "hit-cnt %{INT:hit_count} (?:first hit|%{INT:interval}-second interval)"},
    {"CISCO_SRC_IP_USER", "%{NOTSPACE:src_interface}:%{IP:src_ip}(?:\\(%{DATA:src_fwuser}\\))?"},
    {"CISCO_DST_IP_USER", "%{NOTSPACE:dst_interface}:%{IP:dst_ip}(?:\\(%{DATA:dst_fwuser}\\))?"},
    {"CISCO_SRC_HOST_PORT_USER", "%{NOTSPACE:src_interface}:(?:%{IP:src_ip}|%{HOSTNAME:src_host})(?"
                                 ":/%{INT:src_port})?(?:\\(%{DATA:src_fwuser}\\))?"},
    {"CISCO_DST_HOST_PORT_USER", "%{NOTSPACE:dst_interface}:(?:%{IP:dst_ip}|%{HOSTNAME:dst_host})(?"
                                 ":/%{INT:dst_port})?(?:\\(%{DATA:dst_fwuser}\\))?"},
    {"CISCOFW104001", UNIT " Switching to ACTIVE - %{GREEDYDATA:switch_reason}"},
    {"CISCOFW104002", UNIT " Switching to STANDBY - %{GREEDYDATA:switch_reason}"},
    {"CISCOFW104003", UNIT " Switching to FAILED\\."},
    {"CISCOFW104004", UNIT " Switching to OK\\."},
    {"CISCOFW105003", UNIT " Monitoring on [Ii]nterface %{GREEDYDATA:interface_name} waiting"},
    {"CISCOFW105004", UNIT " Monitoring on [Ii]nterface %{GREEDYDATA:interface_name} normal"},
    {"CISCOFW105005",
     UNIT " Lost Failover communications with mate on [Ii]nterface %{GREEDYDATA:interface_name}"},
    {"CISCOFW105008", UNIT " Testing [Ii]nterface %{GREEDYDATA:interface_name}"},
    {"CISCOFW105009",
     UNIT " Testing on [Ii]nterface %{GREEDYDATA:interface_name} (?:Passed|Failed)"},
    {"CISCOFW106001",
     "%{CISCO_DIRECTION:direction} %{WORD:protocol} connection %{CISCO_ACTION:action} from " SRC
     " to " DST " flags %{GREEDYDATA:tcp_flags} on interface %{GREEDYDATA:interface}"},
    {"CISCOFW106006_106007_106010",
     "%{CISCO_ACTION:action} %{CISCO_DIRECTION:direction} %{WORD:protocol} (?:from|src) "
     "%{IP:src_ip}/%{INT:src_port}(?:\\(%{DATA:src_fwuser}\\))? (?:to|dst) "
     "%{IP:dst_ip}/%{INT:dst_port}(?:\\(%{DATA:dst_fwuser}\\))? (?:on interface "
     "%{DATA:interface}|due to %{CISCO_REASON:reason})"},
    {"CISCOFW106014", "%{CISCO_ACTION:action} %{CISCO_DIRECTION:direction} %{WORD:protocol} src "
                      "%{DATA:src_interface}:%{IP:src_ip}(?:\\(%{DATA:src_fwuser}\\))? dst "
                      "%{DATA:dst_interface}:%{IP:dst_ip}(?:\\(%{DATA:dst_fwuser}\\))? \\(type "
                      "%{INT:icmp_type}, code %{INT:icmp_code}\\)"},
    {"CISCOFW106015", "%{CISCO_ACTION:action} %{WORD:protocol} \\(%{DATA:policy_id}\\) from " SRC
                      " to " DST " flags %{DATA:tcp_flags}  on interface %{GREEDYDATA:interface}"},
    {"CISCOFW106021", "%{CISCO_ACTION:action} %{WORD:protocol} reverse path check from "
                      "%{IP:src_ip} to %{IP:dst_ip} on interface %{GREEDYDATA:interface}"},
    {"CISCOFW106023",
     "%{CISCO_ACTION:action}(?: protocol)? %{WORD:protocol} src " LONG_SRC " dst " LONG_DST
     "(?: \\(type %{INT:icmp_type}, code %{INT:icmp_code}\\))? by access-group "
     "\"?%{DATA:policy_id}\"? \\[%{DATA:hashcode1}, %{DATA:hashcode2}\\]"},
    {"CISCOFW106100_2_3",
     "access-list %{NOTSPACE:policy_id} %{CISCO_ACTION:action} %{WORD:protocol} for user "
     "'%{DATA:src_fwuser}' %{DATA:src_interface}/%{IP:src_ip}\\(%{INT:src_port}\\) -> "
     "%{DATA:dst_interface}/%{IP:dst_ip}\\(%{INT:dst_port}\\) %{CISCO_HITCOUNT_INTERVAL} "
     "\\[%{DATA:hashcode1}, %{DATA:hashcode2}\\]"},
    {"CISCOFW106100",
     "access-list %{NOTSPACE:policy_id} %{CISCO_ACTION:action} %{WORD:protocol} "
     "%{DATA:src_interface}/%{IP:src_ip}\\(%{INT:src_port}\\)(?:\\(%{DATA:src_fwuser}\\))? -> "
     "%{DATA:dst_interface}/%{IP:dst_ip}\\(%{INT:dst_port}\\)(?:\\(%{DATA:dst_fwuser}\\))? hit-cnt "
     "%{INT:hit_count} %{CISCO_INTERVAL:interval} \\[%{DATA:hashcode1}, %{DATA:hashcode2}\\]"},
    {"CISCOFW304001",
     "%{IP:src_ip}(?:\\(%{DATA:src_fwuser}\\))? Accessed URL %{IP:dst_ip}:%{GREEDYDATA:dst_url}"},
    {"CISCOFW110002", "%{CISCO_REASON:reason} for %{WORD:protocol} from " SRC_AT " to " DST},
    {"CISCOFW302010", "%{INT:connection_count} in use, %{INT:connection_count_max} most used"},
    {"CISCOFW302013_302014_302015_302016",
     "%{CISCO_ACTION:action}(?: %{CISCO_DIRECTION:direction})? %{WORD:protocol} connection "
     "%{INT:connection_id} for %{DATA:src_interface}:" SRC
     "(?: \\(%{IP:src_mapped_ip}/%{INT:src_mapped_port}\\))?(?:\\(%{DATA:src_fwuser}\\))? to "
     "%{DATA:dst_interface}:" DST
     "(?: \\(%{IP:dst_mapped_ip}/%{INT:dst_mapped_port}\\))?(?:\\(%{DATA:dst_fwuser}\\))?(?: "
     "duration %{TIME:duration} bytes %{INT:bytes})?(?: %{CISCO_REASON:reason})?(?: "
     "\\(%{DATA:user}\\))?"},
    {"CISCOFW302020_302021",
     "%{CISCO_ACTION:action}(?: %{CISCO_DIRECTION:direction})? %{WORD:protocol} connection for "
     "faddr %{IP:dst_ip}/%{INT:icmp_seq_num}(?:\\(%{DATA:fwuser}\\))? gaddr "
     "%{IP:src_xlated_ip}/%{INT:icmp_code_xlated} laddr %{IP:src_ip}/%{INT:icmp_code}(?: "
     "\\(%{DATA:user}\\))?"},
    {"CISCOFW305011",
     "%{CISCO_ACTION:action} %{CISCO_XLATE_TYPE:xlate_type} %{WORD:protocol} translation from "
     "%{DATA:src_interface}:%{IP:src_ip}(?:/%{INT:src_port})?(?:\\(%{DATA:src_fwuser}\\))? to "
     "%{DATA:src_xlated_interface}:%{IP:src_xlated_ip}/%{DATA:src_xlated_port}"},
    {"CISCOFW313001_313004_313008",
     "%{CISCO_ACTION:action} %{WORD:protocol} type=%{INT:icmp_type}, code=%{INT:icmp_code} from "
     "%{IP:src_ip} on interface %{DATA:interface}(?: to %{IP:dst_ip})?"},
    {"CISCOFW313005",
     "%{CISCO_REASON:reason} for %{WORD:protocol} error message: %{WORD:err_protocol} src " LONG_SRC
     " dst " LONG_DST
     " \\(type %{INT:err_icmp_type}, code %{INT:err_icmp_code}\\) on %{DATA:interface} "
     "interface\\.  Original IP payload: %{WORD:protocol} src "
     "%{IP:orig_src_ip}/%{INT:orig_src_port}(?:\\(%{DATA:orig_src_fwuser}\\))? dst "
     "%{IP:orig_dst_ip}/%{INT:orig_dst_port}(?:\\(%{DATA:orig_dst_fwuser}\\))?"},
    {"CISCOFW321001",
     "Resource '%{WORD:resource_name}' limit of %{POSINT:resource_limit} reached for system"},
    {"CISCOFW402117", "%{WORD:protocol}: Received a non-IPSec packet \\(protocol= "
                      "%{WORD:orig_protocol}\\) from %{IP:src_ip} to %{IP:dst_ip}\\."},
    {"CISCOFW402119", "%{WORD:protocol}: Received an %{WORD:orig_protocol} packet \\(SPI= "
                      "%{DATA:spi}, sequence number= %{DATA:seq_num}\\) from %{IP:src_ip} \\(user= "
                      "%{DATA:user}\\) to %{IP:dst_ip} that failed anti-replay checking\\."},
    {"CISCOFW419001", "%{CISCO_ACTION:action} %{WORD:protocol} packet from " SRC_AT " to " DST_AT
                      ", reason: %{GREEDYDATA:reason}"},
    {"CISCOFW419002",
     "%{CISCO_REASON:reason} from " SRC_AT " to " DST_AT " with different initial sequence number"},
    {"CISCOFW500004", "%{CISCO_REASON:reason} for protocol=%{WORD:protocol}, from " SRC " to " DST},
    {"CISCOFW602303_602304",
     "%{WORD:protocol}: An %{CISCO_DIRECTION:direction} %{GREEDYDATA:tunnel_type} SA \\(SPI= "
     "%{DATA:spi}\\) between %{IP:src_ip} and %{IP:dst_ip} \\(user= %{DATA:user}\\) has been "
     "%{CISCO_ACTION:action}"},
    {"CISCOFW710001_710002_710003_710005_710006",
     "%{WORD:protocol} (?:request|access) %{CISCO_ACTION:action} from " SRC
     " to %{DATA:dst_interface}:" DST},
    {"CISCOFW713172", "Group = %{GREEDYDATA:group}, IP = %{IP:src_ip}, Automatic NAT Detection "
                      "Status:\\s+Remote end\\s*%{DATA:is_remote_natted}\\s*behind a NAT "
                      "device\\s+This\\s+end\\s*%{DATA:is_local_natted}\\s*behind a NAT device"},
    {"CISCOFW733100",
     "\\[\\s*%{DATA:drop_type}\\s*\\] drop %{DATA:drop_rate_id} exceeded\\. Current burst rate is "
     "%{INT:drop_rate_current_burst} per second, max configured rate is "
     "%{INT:drop_rate_max_burst}; Current average rate is %{INT:drop_rate_current_avg} per second, "
     "max configured rate is %{INT:drop_rate_max_avg}; Cumulative total count is "
     "%{INT:drop_total_count}"},
};

static const qdi_grok_field fields[] = {
    {"syslog_pri", "log.syslog.priority:int"},
    {"sysloghost", "host.hostname"},
    {"ciscotag", "cisco.asa.tag"},
    {"switch_reason", "event.reason"},
    {"interface_name", "network.interface.name"},
    {"interface", "observer.egress.interface.name"},
    {"direction", "cisco.asa.network.direction"},
    {"protocol", "cisco.asa.network.transport"},
    {"action", "cisco.asa.outcome"},
    {"reason", "event.reason"},
    {"src_ip", "source.ip"},
    {"src_host", "source.address"},
    {"src_port", "source.port:int"},
    {"src_interface", "observer.ingress.interface.name"},
    {"src_fwuser", "source.user.name"},
    {"dst_ip", "destination.ip"},
    {"dst_host", "destination.address"},
    {"dst_port", "destination.port:int"},
    {"dst_interface", "observer.egress.interface.name"},
    {"dst_fwuser", "destination.user.name"},
    {"dst_url", "url.original"},
    {"tcp_flags", "cisco.asa.tcp_flags"},
    {"policy_id", "cisco.asa.rule_name"},
    {"icmp_type", "cisco.asa.icmp_type:int"},
    {"icmp_code", "cisco.asa.icmp_code:int"},
    {"hashcode1", "metadata.cisco.asa.hashcode1"},
    {"hashcode2", "metadata.cisco.asa.hashcode2"},
    {"hit_count", "cisco.asa.hit_count:int"},
    {"interval", "cisco.asa.interval:int"},
    {"connection_id", "cisco.asa.connection_id"},
    {"connection_count", "cisco.asa.connections.in_use:int"},
    {"connection_count_max", "cisco.asa.connections.most_used:int"},
    {"src_mapped_ip", "source.nat.ip"},
    {"src_mapped_port", "source.nat.port:int"},
    {"dst_mapped_ip", "destination.nat.ip"},
    {"dst_mapped_port", "destination.nat.port:int"},
    {"src_xlated_ip", "source.nat.ip"},
    {"src_xlated_port", "source.nat.port:int"},
    {"xlate_type", "cisco.asa.network.type"},
    {"bytes", "network.bytes:long"},
    {"duration", "event.duration"},
    {"user", "user.name"},
    {"resource_name", "cisco.asa.resource.name"},
    {"resource_limit", "cisco.asa.resource.limit:int"},
    {"spi", "cisco.asa.security_parameter_index"},
    {"tunnel_type", "cisco.asa.tunnel_type"},
    {"group", "cisco.asa.source.group"},
};

const qdi_grok_group qdi_grok_cisco = QDI_GROK_GROUP(patterns, fields);
