/* firewall.c: logs of NetScreen, Shorewall, SuSEfirewall2 and iptables. */
#include "ingest/patterns/patterns.h"

static const qdi_grok_pattern patterns[] = {
    {"NETSCREENSESSIONLOG",
     "%{SYSLOGTIMESTAMP:date} %{IPORHOST:device} %{NOTSPACE}: NetScreen "
     "device_id=%{WORD:device_id}%{DATA}: start_time=%{QUOTEDSTRING:start_time} "
     "duration=%{INT:duration} policy_id=%{INT:policy_id} service=%{DATA:service} "
     "proto=%{INT:proto} src zone=%{WORD:src_zone} dst zone=%{WORD:dst_zone} action=%{WORD:action} "
     "sent=%{INT:sent} rcvd=%{INT:rcvd} src=%{IPORHOST:src_ip} dst=%{IPORHOST:dst_ip} "
     "src_port=%{INT:src_port} dst_port=%{INT:dst_port} src-xlated ip=%{IPORHOST:src_xlated_ip} "
     "port=%{INT:src_xlated_port} dst-xlated ip=%{IPORHOST:dst_xlated_ip} "
     "port=%{INT:dst_xlated_port} session_id=%{INT:session_id} reason=%{GREEDYDATA:reason}"},
    {"SHOREWALL", "(?:%{SYSLOGTIMESTAMP:timestamp}) (?:%{WORD:nf_host}) "
                  ".*Shorewall:(?:%{WORD:nf_action1})?:(?:%{WORD:nf_action2})?.*IN=(?:%{USERNAME:"
                  "nf_in_interface})?.*(?:OUT= "
                  "*MAC=(?:%{COMMONMAC:nf_dst_mac}):(?:%{COMMONMAC:nf_src_mac})?|OUT=%{USERNAME:nf_"
                  "out_interface}).*SRC=(?:%{IPV4:nf_src_ip}).*DST=(?:%{IPV4:nf_dst_ip}).*LEN=(?:%{"
                  "WORD:nf_len})?.*TOS=(?:%{WORD:nf_tos})?.*PREC=(?:%{WORD:nf_prec})?.*TTL=(?:%{"
                  "INT:nf_ttl})?.*ID=(?:%{INT:nf_id})?.*PROTO=(?:%{WORD:nf_protocol})?.*SPT=(?:%{"
                  "INT:nf_src_port})?.*DPT=(?:%{INT:nf_dst_port}?.*)"},
    {"SFW2_LOG_PREFIX", "SFW2-INext-%{NOTSPACE:nf_action}"},
    {"SFW2",
     "(?:(?:%{SYSLOGTIMESTAMP:timestamp})|(?:%{TIMESTAMP_ISO8601:timestamp}))\\s*%{HOSTNAME}\\s*"
     "kernel\\S+\\s*%{NAGIOSTIME}?\\s*SFW2-INext-%{NOTSPACE:nf_action}\\s*IN=%{USERNAME:nf_in_"
     "interface}?.*OUT=(?:\\s*%{USERNAME:nf_out_interface})?\\s*MAC=(?:\\s*(?:%{COMMONMAC:nf_dst_"
     "mac}:%{COMMONMAC:nf_src_mac})?.*)?SRC=%{IP:nf_src_ip}\\s*DST=%{IP:nf_dst_ip}.*PROTO=%{WORD:"
     "nf_protocol}(?:.*SPT=%{INT:nf_src_port}?\\s*DPT=%{INT:nf_dst_port}?)?.*"},
    {"IPTABLES_TCP_FLAGS",
     "(?:CWR|ECE|URG|ACK|PSH|RST|SYN|FIN)(?: (?:CWR|ECE|URG|ACK|PSH|RST|SYN|FIN))*"},
    {"IPTABLES_TCP_PART", "(?:SEQ=%{INT:nf_seq} ACK=%{INT:nf_ack} )?WINDOW=%{INT:nf_window} "
                          "RES=0x%{BASE16NUM:nf_res} %{IPTABLES_TCP_FLAGS:nf_flags}"},
    {"IPTABLES4_FRAG", "(?:DF|MF|CE)(?: (?:DF|MF|CE))*"},
    {"IPTABLES4_PART",
     "SRC=%{IPV4:nf_src_ip} DST=%{IPV4:nf_dst_ip} LEN=%{INT:nf_len} TOS=(?:0x)?%{BASE16NUM:nf_tos} "
     "PREC=(?:0x)?%{BASE16NUM:nf_prec} TTL=%{INT:nf_ttl} ID=%{INT:nf_id}?(?: "
     "%{IPTABLES4_FRAG:nf_frag})?(?: FRAG: %{INT})?"},
    {"IPTABLES6_PART", "SRC=%{IPV6:nf_src_ip} DST=%{IPV6:nf_dst_ip} LEN=%{INT:nf_len} "
                       "TC=%{INT:nf_tc} HOPLIMIT=%{INT:nf_ttl} FLOWLBL=%{INT:nf_flow}"},
    {"IPTABLES",
     "IN=%{DATA:nf_in_interface}? OUT=%{DATA:nf_out_interface}?(?: MAC=%{DATA:nf_mac})? "
     "(?:%{IPTABLES4_PART}|%{IPTABLES6_PART}).*?PROTO=%{WORD:nf_protocol}(?: "
     "SPT=%{INT:nf_src_port} DPT=%{INT:nf_dst_port} ?(?:%{IPTABLES_TCP_PART})?)?"},
};

static const qdi_grok_field fields[] = {
    {"date", "timestamp"},
    {"device", "observer.hostname"},
    {"device_id", "netscreen.device_id"},
    {"start_time", "netscreen.session.start_time"},
    {"duration", "netscreen.session.duration:int"},
    {"policy_id", "netscreen.policy_id"},
    {"service", "netscreen.service"},
    {"proto", "netscreen.protocol_number:int"},
    {"src_zone", "observer.ingress.zone"},
    {"dst_zone", "observer.egress.zone"},
    {"action", "event.action"},
    {"sent", "source.bytes:long"},
    {"rcvd", "destination.bytes:long"},
    {"src_ip", "source.address"},
    {"dst_ip", "destination.address"},
    {"src_port", "source.port:int"},
    {"dst_port", "destination.port:int"},
    {"src_xlated_ip", "source.nat.ip"},
    {"src_xlated_port", "source.nat.port:int"},
    {"dst_xlated_ip", "destination.nat.ip"},
    {"dst_xlated_port", "destination.nat.port:int"},
    {"session_id", "netscreen.session.id"},
    {"reason", "netscreen.session.reason"},
    {"nf_host", "observer.hostname"},
    {"nf_action1", "shorewall.firewall.type"},
    {"nf_action2", "shorewall.firewall.action"},
    {"nf_action", "suse.firewall.action"},
    {"nf_in_interface", "observer.ingress.interface.name"},
    {"nf_out_interface", "observer.egress.interface.name"},
    {"nf_src_mac", "source.mac"},
    {"nf_dst_mac", "destination.mac"},
    {"nf_src_ip", "source.ip"},
    {"nf_dst_ip", "destination.ip"},
    {"nf_src_port", "source.port:int"},
    {"nf_dst_port", "destination.port:int"},
    {"nf_protocol", "network.transport"},
    {"nf_len", "iptables.length:int"},
    {"nf_tos", "iptables.tos"},
    {"nf_prec", "iptables.precedence_bits"},
    {"nf_ttl", "iptables.ttl:int"},
    {"nf_id", "iptables.id"},
    {"nf_frag", "iptables.fragment_flags"},
    {"nf_flags", "iptables.tcp.flags"},
    {"nf_window", "iptables.tcp.window:int"},
    {"nf_seq", "iptables.tcp.seq"},
    {"nf_ack", "iptables.tcp.ack"},
    {"nf_res", "iptables.tcp_reserved_bits"},
};

const qdi_grok_group qdi_grok_firewall = QDI_GROK_GROUP(patterns, fields);
