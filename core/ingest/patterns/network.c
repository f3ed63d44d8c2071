/* network.c: name servers, network monitors, routers. */
#include "ingest/patterns/patterns.h"

static const qdi_grok_pattern patterns[] = {
    {"BIND9_TIMESTAMP", "%{MONTHDAY}[-]%{MONTH}[-]%{YEAR} %{TIME}"},
    {"BIND9_DNSTYPE",
     "(?:A|AAAA|CAA|CDNSKEY|CDS|CERT|CNAME|CSYNC|DLV|DNAME|DNSKEY|DS|HINFO|LOC|MX|NAPTR|NS|NSEC|"
     "NSEC3|OPENPGPKEY|PTR|RRSIG|RP|SIG|SMIMEA|SOA|SRV|TSIG|TXT|URI)"},
    {"BIND9_CATEGORY", "(?:queries)"},
    {"BIND9_QUERYLOGBASE",
     "client(?:\\s@0x(?:[0-9A-Fa-f]+))? %{IP:clientip}#%{POSINT:clientport} "
     "\\(%{GREEDYDATA:query}\\): query: %{GREEDYDATA:query_name} (?<dns_class>IN) "
     "%{BIND9_DNSTYPE:querytype} %{DATA:flags} \\(%{IP:dns}\\)"},
    {"BIND9_QUERYLOG", "%{BIND9_TIMESTAMP:timestamp} %{BIND9_CATEGORY:category}: "
                       "%{LOGLEVEL:loglevel}: %{BIND9_QUERYLOGBASE}"},
    {"BIND9", "%{BIND9_TIMESTAMP:timestamp} queries: %{LOGLEVEL:loglevel}: client(?: "
              "@0x[0-9A-Fa-f]+)? %{IP:clientip}#%{POSINT:clientport} \\(%{GREEDYDATA:query}\\): "
              "query: %{GREEDYDATA:query} IN %{GREEDYDATA:querytype} \\(%{IP:dns}\\)"},
    {"BRO_BOOL", "[TF]"},
    {"BRO_DATA", "[^\\t]+"},
    {"BRO_HTTP",
     "%{NUMBER:ts}\\t%{NOTSPACE:uid}\\t%{IP:orig_h}\\t%{INT:orig_p}\\t%{IP:resp_h}\\t%{INT:resp_p}"
     "\\t%{INT:trans_depth}\\t%{GREEDYDATA:method}\\t%{GREEDYDATA:domain}\\t%{GREEDYDATA:uri}\\t%{"
     "GREEDYDATA:referrer}\\t%{GREEDYDATA:user_agent}\\t%{NUMBER:request_body_len}\\t%{NUMBER:"
     "response_body_len}\\t%{GREEDYDATA:status_code}\\t%{GREEDYDATA:status_msg}\\t%{GREEDYDATA:"
     "info_code}\\t%{GREEDYDATA:info_msg}\\t%{GREEDYDATA:filename}\\t%{GREEDYDATA:bro_tags}\\t%{"
     "GREEDYDATA:username}\\t%{GREEDYDATA:password}\\t%{GREEDYDATA:proxied}\\t%{GREEDYDATA:orig_"
     "fuids}\\t%{GREEDYDATA:orig_mime_types}\\t%{GREEDYDATA:resp_fuids}\\t%{GREEDYDATA:resp_mime_"
     "types}"},
    {"BRO_DNS",
     "%{NUMBER:ts}\\t%{NOTSPACE:uid}\\t%{IP:orig_h}\\t%{INT:orig_p}\\t%{IP:resp_h}\\t%{INT:resp_p}"
     "\\t%{WORD:proto}\\t%{INT:trans_id}\\t%{GREEDYDATA:query}\\t%{GREEDYDATA:qclass}\\t%{"
     "GREEDYDATA:qclass_name}\\t%{GREEDYDATA:qtype}\\t%{GREEDYDATA:qtype_name}\\t%{GREEDYDATA:"
     "rcode}\\t%{GREEDYDATA:rcode_name}\\t%{GREEDYDATA:AA}\\t%{GREEDYDATA:TC}\\t%{GREEDYDATA:RD}"
     "\\t%{GREEDYDATA:RA}\\t%{GREEDYDATA:Z}\\t%{GREEDYDATA:answers}\\t%{GREEDYDATA:TTLs}\\t%{"
     "GREEDYDATA:rejected}"},
    {"BRO_CONN",
     "%{NUMBER:ts}\\t%{NOTSPACE:uid}\\t%{IP:orig_h}\\t%{INT:orig_p}\\t%{IP:resp_h}\\t%{INT:resp_p}"
     "\\t%{WORD:proto}\\t%{GREEDYDATA:service}\\t%{NUMBER:duration}\\t%{NUMBER:orig_bytes}\\t%{"
     "NUMBER:resp_bytes}\\t%{GREEDYDATA:conn_state}\\t%{GREEDYDATA:local_orig}\\t%{GREEDYDATA:"
     "missed_bytes}\\t%{GREEDYDATA:history}\\t%{GREEDYDATA:orig_pkts}\\t%{GREEDYDATA:orig_ip_bytes}"
     "\\t%{GREEDYDATA:resp_pkts}\\t%{GREEDYDATA:resp_ip_bytes}\\t%{GREEDYDATA:tunnel_parents}"},
    {"BRO_FILES",
     "%{NUMBER:ts}\\t%{NOTSPACE:fuid}\\t%{IP:tx_hosts}\\t%{IP:rx_hosts}\\t%{NOTSPACE:conn_uids}\\t%"
     "{GREEDYDATA:source}\\t%{GREEDYDATA:depth}\\t%{GREEDYDATA:analyzers}\\t%{GREEDYDATA:mime_type}"
     "\\t%{GREEDYDATA:filename}\\t%{GREEDYDATA:duration}\\t%{GREEDYDATA:local_orig}\\t%{GREEDYDATA:"
     "is_orig}\\t%{GREEDYDATA:seen_bytes}\\t%{GREEDYDATA:total_bytes}\\t%{GREEDYDATA:missing_bytes}"
     "\\t%{GREEDYDATA:overflow_bytes}\\t%{GREEDYDATA:timedout}\\t%{GREEDYDATA:parent_fuid}\\t%{"
     "GREEDYDATA:md5}\\t%{GREEDYDATA:sha1}\\t%{GREEDYDATA:sha256}\\t%{GREEDYDATA:extracted}"},
    {"ZEEK_BOOL", "[TF]"},
    {"ZEEK_DATA", "[^\\t]+"},
    {"ZEEK_HTTP", "%{NUMBER:ts}\\t%{NOTSPACE:uid}\\t%{IP:orig_h}\\t%{INT:orig_p}\\t%{IP:resp_h}\\t%"
                  "{INT:resp_p}\\t%{INT:trans_depth}\\t(?:-|%{WORD:method})\\t(?:-|%{ZEEK_DATA:"
                  "domain})\\t(?:-|%{ZEEK_DATA:uri})\\t(?:-|%{ZEEK_DATA:referrer})\\t(?:-|%{NUMBER:"
                  "http_version})\\t(?:-|%{ZEEK_DATA:user_agent})\\t%{GREEDYDATA:rest}"},
    {"ZEEK_DNS", "%{NUMBER:ts}\\t%{NOTSPACE:uid}\\t%{IP:orig_h}\\t%{INT:orig_p}\\t%{IP:resp_h}\\t%{"
                 "INT:resp_p}\\t%{WORD:proto}\\t(?:-|%{INT:trans_id})\\t(?:-|%{ZEEK_DATA:rtt})\\t(?"
                 ":-|%{ZEEK_DATA:query})\\t%{GREEDYDATA:rest}"},
    {"ZEEK_CONN",
     "%{NUMBER:ts}\\t%{NOTSPACE:uid}\\t%{IP:orig_h}\\t%{INT:orig_p}\\t%{IP:resp_h}\\t%{INT:resp_p}"
     "\\t%{WORD:proto}\\t(?:-|%{ZEEK_DATA:service})\\t(?:-|%{NUMBER:duration})\\t(?:-|%{INT:orig_"
     "bytes})\\t(?:-|%{INT:resp_bytes})\\t(?:-|%{ZEEK_DATA:conn_state})\\t%{GREEDYDATA:rest}"},
    {"ZEEK_FILES_TX_HOSTS", "(?:-|%{IP:tx_hosts})|(?<tx_all>%{IP}(?:[\\s,]%{IP})+)"},
    {"ZEEK_FILES_RX_HOSTS", "(?:-|%{IP:rx_hosts})|(?<rx_all>%{IP}(?:[\\s,]%{IP})+)"},
    {"ZEEK_FILES", "%{NUMBER:ts}\\t%{NOTSPACE:fuid}\\t%{ZEEK_FILES_TX_HOSTS}\\t%{ZEEK_FILES_RX_"
                   "HOSTS}\\t%{NOTSPACE:conn_uids}\\t%{GREEDYDATA:rest}"},
    {"RT_FLOW_TAG", "(?:RT_FLOW_SESSION_CREATE|RT_FLOW_SESSION_CLOSE|RT_FLOW_SESSION_DENY)"},
    {"RT_FLOW_EVENT", "%{RT_FLOW_TAG}"},
    {"RT_FLOW1",
     "%{RT_FLOW_EVENT:event}: %{GREEDYDATA:close-reason}: "
     "%{IP:src-ip}/%{INT:src-port}->%{IP:dst-ip}/%{INT:dst-port} %{DATA:service} "
     "%{IP:nat-src-ip}/%{INT:nat-src-port}->%{IP:nat-dst-ip}/%{INT:nat-dst-port} "
     "(?:(?:%{DATA:src-nat-rule-name})|None) (?:(?:%{DATA:dst-nat-rule-name})|None) "
     "%{INT:protocol-id} %{DATA:policy-name} %{DATA:from-zone} %{DATA:to-zone} %{INT:session-id} "
     "\\d+\\(%{DATA:sent}\\) \\d+\\(%{DATA:received}\\) %{INT:elapsed-time} .*"},
    {"RT_FLOW2", "%{RT_FLOW_EVENT:event}: session created "
                 "%{IP:src-ip}/%{INT:src-port}->%{IP:dst-ip}/%{INT:dst-port} %{DATA:service} "
                 "%{IP:nat-src-ip}/%{INT:nat-src-port}->%{IP:nat-dst-ip}/%{INT:nat-dst-port} "
                 "(?:(?:%{DATA:src-nat-rule-name})|None) (?:(?:%{DATA:dst-nat-rule-name})|None) "
                 "%{INT:protocol-id} %{DATA:policy-name} %{DATA:from-zone} %{DATA:to-zone} "
                 "%{INT:session-id} .*"},
    {"RT_FLOW3",
     "%{RT_FLOW_EVENT:event}: session denied "
     "%{IP:src-ip}/%{INT:src-port}->%{IP:dst-ip}/%{INT:dst-port} %{DATA:service} "
     "%{INT:protocol-id}\\(\\d\\) %{DATA:policy-name} %{DATA:from-zone} %{DATA:to-zone} .*"},
};

static const qdi_grok_field fields[] = {
    {"clientip", "client.ip"},
    {"clientport", "client.port:int"},
    {"query_name", "dns.question.name"},
    {"querytype", "dns.question.type"},
    {"dns_class", "dns.question.class"},
    {"flags", "bind.log.question.flags"},
    {"dns", "server.ip"},
    {"category", "bind.log.category"},
    {"loglevel", "log.level"},
    {"ts", "timestamp"},
    {"uid", "zeek.session_id"},
    {"fuid", "zeek.files.fuid"},
    {"orig_h", "source.ip"},
    {"orig_p", "source.port:int"},
    {"resp_h", "destination.ip"},
    {"resp_p", "destination.port:int"},
    {"tx_hosts", "server.ip"},
    {"rx_hosts", "client.ip"},
    {"trans_depth", "zeek.http.trans_depth:int"},
    {"method", "http.request.method"},
    {"domain", "url.domain"},
    {"uri", "url.original"},
    {"referrer", "http.request.referrer"},
    {"user_agent", "user_agent.original"},
    {"proto", "network.transport"},
    {"trans_id", "dns.id:int"},
    {"query", "dns.question.name"},
    {"service", "network.protocol"},
    {"orig_bytes", "zeek.connection.orig_bytes:long"},
    {"resp_bytes", "zeek.connection.resp_bytes:long"},
    {"conn_state", "zeek.connection.state"},
    {"event", "event.action"},
    {"close-reason", "juniper.srx.reason"},
    {"src-ip", "source.ip"},
    {"src-port", "source.port:int"},
    {"dst-ip", "destination.ip"},
    {"dst-port", "destination.port:int"},
    {"nat-src-ip", "source.nat.ip"},
    {"nat-src-port", "source.nat.port:int"},
    {"nat-dst-ip", "destination.nat.ip"},
    {"nat-dst-port", "destination.nat.port:int"},
    {"protocol-id", "network.iana_number"},
    {"policy-name", "rule.name"},
    {"from-zone", "observer.ingress.zone"},
    {"to-zone", "observer.egress.zone"},
    {"session-id", "juniper.srx.session_id"},
    {"sent", "source.bytes:long"},
    {"received", "destination.bytes:long"},
    {"elapsed-time", "juniper.srx.elapsed_time"},
};

const qdi_grok_group qdi_grok_network = QDI_GROK_GROUP(patterns, fields);
