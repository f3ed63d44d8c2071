/* web.c: logs of web servers, proxies, load balancers and of Java. */
#include "ingest/patterns/patterns.h"

static const qdi_grok_pattern patterns[] = {
    {"HTTPDERROR_DATE", "%{DAY} %{MONTH} %{MONTHDAY} %{TIME} %{YEAR}"},
    {"HTTPD_COMMONLOG",
     "%{IPORHOST:clientip} %{HTTPDUSER:ident} %{HTTPDUSER:auth} \\[%{HTTPDATE:timestamp}\\] "
     "\"(?:%{WORD:verb} %{NOTSPACE:request}(?: HTTP/%{NUMBER:httpversion})?|%{DATA:rawrequest})\" "
     "(?:-|%{NUMBER:response}) (?:-|%{NUMBER:bytes})"},
    {"HTTPD_COMBINEDLOG", "%{HTTPD_COMMONLOG} %{QS:referrer} %{QS:agent}"},
    {"HTTPD20_ERRORLOG", "\\[%{HTTPDERROR_DATE:timestamp}\\] \\[%{LOGLEVEL:loglevel}\\] "
                         "(?:\\[client %{IPORHOST:clientip}\\] )?%{GREEDYDATA:message}"},
    {"HTTPD24_ERRORLOG",
     "\\[%{HTTPDERROR_DATE:timestamp}\\] \\[(?:%{WORD:module})?:%{LOGLEVEL:loglevel}\\] \\[pid "
     "%{POSINT:pid}(?::tid %{NUMBER:tid})?\\](?: "
     "\\(%{POSINT:proxy_errorcode}\\)%{DATA:proxy_message}:)?(?: \\[client "
     "%{IPORHOST:clientip}(?::%{POSINT:clientport})?\\])?(?: %{DATA:errorcode}:)? "
     "%{GREEDYDATA:message}"},
    {"HTTPD_ERRORLOG", "%{HTTPD20_ERRORLOG}|%{HTTPD24_ERRORLOG}"},
    {"COMMONAPACHELOG", "%{HTTPD_COMMONLOG}"},
    {"COMBINEDAPACHELOG", "%{HTTPD_COMBINEDLOG}"},
    {"JAVACLASS", "(?:[a-zA-Z$_][a-zA-Z$_0-9]*\\.)*[a-zA-Z$_][a-zA-Z$_0-9]*"},
    {"JAVAFILE", "(?:[a-zA-Z$_0-9. -]+)"},
    {"JAVAMETHOD", "(?:<(?:cl)?init>|[a-zA-Z$_][a-zA-Z$_0-9]*)"},
    {"JAVASTACKTRACEPART",
     "%{SPACE}at "
     "%{JAVACLASS:class}\\.%{JAVAMETHOD:method}\\(%{JAVAFILE:file}(?::%{NUMBER:line})?\\)"},
    {"JAVATHREAD", "(?:[A-Z]{2}-Processor[\\d]+)"},
    {"JAVALOGMESSAGE", "(?:.*)"},
    {"CATALINA_DATESTAMP",
     "%{MONTH} %{MONTHDAY}, 20%{YEAR} %{HOUR}:?%{MINUTE}(?::?%{SECOND}) (?:AM|PM)"},
    {"CATALINA7_DATESTAMP", "%{MONTH} %{MONTHDAY}, %{YEAR} %{HOUR}:%{MINUTE}:%{SECOND} (?:AM|PM)"},
    {"CATALINA8_DATESTAMP", "%{MONTHDAY}-%{MONTH}-%{YEAR} %{HOUR}:%{MINUTE}:%{SECOND}"},
    {"TOMCAT_DATESTAMP",
     "20%{YEAR}-%{MONTHNUM}-%{MONTHDAY} %{HOUR}:?%{MINUTE}(?::?%{SECOND}) %{ISO8601_TIMEZONE}"},
    {"TOMCATLEGACY_DATESTAMP",
     "%{YEAR}-%{MONTHNUM}-%{MONTHDAY} %{HOUR}:%{MINUTE}:%{SECOND}(?: %{ISO8601_TIMEZONE})?"},
    {"CATALINALOG",
     "%{CATALINA_DATESTAMP:timestamp} %{JAVACLASS:class} %{JAVALOGMESSAGE:logmessage}"},
    {"TOMCATLOG", "%{TOMCAT_DATESTAMP:timestamp} \\| %{LOGLEVEL:level} \\| %{JAVACLASS:class} - "
                  "%{JAVALOGMESSAGE:logmessage}"},
    {"CATALINA7_LOG",
     "%{CATALINA7_DATESTAMP:timestamp} %{JAVACLASS:class}(?: "
     "%{JAVAMETHOD:method})?\\s*(?:%{LOGLEVEL:level}:)? %{JAVALOGMESSAGE:logmessage}"},
    {"CATALINA8_LOG",
     "%{CATALINA8_DATESTAMP:timestamp} %{LOGLEVEL:level} \\[%{DATA:thread}\\] "
     "%{JAVACLASS:class}\\.(?:%{JAVAMETHOD:method})? %{JAVALOGMESSAGE:logmessage}"},
    {"TOMCATLEGACY_LOG", "%{TOMCATLEGACY_DATESTAMP:timestamp} \\| %{LOGLEVEL:level} \\| "
                         "%{JAVACLASS:class} - %{JAVALOGMESSAGE:logmessage}"},
    {"TOMCAT7_LOG", "%{CATALINA7_LOG}"},
    {"TOMCAT8_LOG", "%{CATALINA8_LOG}"},
    {"HAPROXYTIME", "(?!<[0-9])%{HOUR:haproxy_hour}:%{MINUTE:haproxy_minute}(?::%{SECOND:haproxy_"
                    "second})(?![0-9])"},
    {"HAPROXYDATE",
     "%{MONTHDAY:haproxy_monthday}/%{MONTH:haproxy_month}/"
     "%{YEAR:haproxy_year}:%{HAPROXYTIME:haproxy_time}\\.%{INT:haproxy_milliseconds}"},
    {"HAPROXYCAPTUREDREQUESTHEADERS", "%{DATA:captured_request_headers}"},
    {"HAPROXYCAPTUREDRESPONSEHEADERS", "%{DATA:captured_response_headers}"},
    {"HAPROXYURI", "(?:%{URIPROTO:http_proto}://"
                   ")?(?:%{USER:http_user}(?::[^@]*)?@)?(?:%{URIHOST:http_host})?(?:%{URIPATHPARAM:"
                   "http_request})?"},
    {"HAPROXYHTTPREQUESTLINE",
     "(?:<BADREQ>|(?:%{WORD:http_verb} %{HAPROXYURI}(?: HTTP/%{NUMBER:http_version})?))"},
    {"HAPROXYHTTPBASE",
     "%{IP:client_ip}:%{INT:client_port} \\[%{HAPROXYDATE:accept_date}\\] "
     "%{NOTSPACE:frontend_name} %{NOTSPACE:backend_name}/%{NOTSPACE:server_name} "
     "%{INT:time_request}/%{INT:time_queue}/%{INT:time_backend_connect}/"
     "%{INT:time_backend_response}/%{NOTSPACE:time_duration} %{INT:http_status_code} "
     "%{NOTSPACE:bytes_read} %{DATA:captured_request_cookie} %{DATA:captured_response_cookie} "
     "%{NOTSPACE:termination_state} "
     "%{INT:actconn}/%{INT:feconn}/%{INT:beconn}/%{INT:srvconn}/%{NOTSPACE:retries} "
     "%{INT:srv_queue}/%{INT:backend_queue} (?:\\{%{HAPROXYCAPTUREDREQUESTHEADERS}\\})? "
     "?(?:\\{%{HAPROXYCAPTUREDRESPONSEHEADERS}\\})? ?\"%{HAPROXYHTTPREQUESTLINE}\"?"},
    {"HAPROXYHTTP", "(?:%{SYSLOGTIMESTAMP:syslog_timestamp}|%{TIMESTAMP_ISO8601:timestamp8601}) "
                    "%{IPORHOST:syslog_server} %{SYSLOGPROG}: %{HAPROXYHTTPBASE}"},
    {"HAPROXYTCP", "(?:%{SYSLOGTIMESTAMP:syslog_timestamp}|%{TIMESTAMP_ISO8601:timestamp8601}) "
                   "%{IPORHOST:syslog_server} %{SYSLOGPROG}: %{IP:client_ip}:%{INT:client_port} "
                   "\\[%{HAPROXYDATE:accept_date}\\] %{NOTSPACE:frontend_name} "
                   "%{NOTSPACE:backend_name}/%{NOTSPACE:server_name} "
                   "%{INT:time_queue}/%{INT:time_backend_connect}/%{NOTSPACE:time_duration} "
                   "%{NOTSPACE:bytes_read} %{NOTSPACE:termination_state} "
                   "%{INT:actconn}/%{INT:feconn}/%{INT:beconn}/%{INT:srvconn}/%{NOTSPACE:retries} "
                   "%{INT:srv_queue}/%{INT:backend_queue}"},
    {"SQUID3_STATUS", "(?:%{POSINT:response}|0|000)"},
    {"SQUID3", "%{NUMBER:timestamp}\\s+%{NUMBER:duration} %{IP:client_address} "
               "%{WORD:cache_result}/%{SQUID3_STATUS} %{NUMBER:bytes} %{WORD:request_method} "
               "%{NOTSPACE:url} (?:%{NOTSPACE:user}|-) "
               "%{WORD:hierarchy_code}/(?:-|%{IPORHOST:server}) (?:-|%{NOTSPACE:content_type})"},
    {"S3_REQUEST_LINE",
     "(?:%{WORD:verb} %{NOTSPACE:request}(?: HTTP/%{NUMBER:httpversion})?|%{DATA:rawrequest})"},
    {"S3_ACCESS_LOG",
     "%{WORD:owner} %{NOTSPACE:bucket} \\[%{HTTPDATE:timestamp}\\] (?:-|%{IP:clientip}) "
     "%{NOTSPACE:requester} %{NOTSPACE:request_id} %{NOTSPACE:operation} %{NOTSPACE:key} "
     "(?:\"%{S3_REQUEST_LINE}\"|-) (?:%{INT:response:int}|-) (?:-|%{NOTSPACE:error_code}) "
     "(?:%{INT:bytes:int}|-) (?:%{INT:object_size:int}|-) (?:%{INT:request_time_ms:int}|-) "
     "(?:%{INT:turnaround_time_ms:int}|-) (?:%{QS:referrer}|-) (?:\"?%{QS:agent}\"?|-) "
     "(?:-|%{NOTSPACE:version_id})"},
    {"ELB_URIHOST", "%{IPORHOST}(?::%{POSINT:port})?"},
    {"ELB_URIPATHPARAM", "%{URIPATH:path}(?:%{URIPARAM:params})?"},
    {"ELB_URIPATHQUERY", "%{URIPATH:path}(?:\\?%{URIQUERY:params})?"},
    {"ELB_URI",
     "%{URIPROTO:proto}://(?:%{USER}(?::[^@]*)?@)?(?:%{URIHOST:urihost})?(?:%{ELB_URIPATHPARAM})?"},
    {"ELB_REQUEST_LINE",
     "(?:%{WORD:verb} %{ELB_URI:request}(?: HTTP/%{NUMBER:httpversion})?|%{DATA:rawrequest})"},
    {"ELB_V1_HTTP_LOG",
     "%{TIMESTAMP_ISO8601:timestamp} %{NOTSPACE:elb} %{IP:clientip}:%{INT:clientport:int} "
     "(?:(?:%{IP:backendip}:%{INT:backendport:int})|-) "
     "(?:%{NUMBER:request_processing_time:float}|-1) "
     "(?:%{NUMBER:backend_processing_time:float}|-1) "
     "(?:%{NUMBER:response_processing_time:float}|-1) (?:%{INT:response:int}|-) "
     "(?:%{INT:backend_response:int}|-) %{INT:received_bytes:int} %{INT:bytes:int} "
     "\"%{ELB_REQUEST_LINE}\"(?: \"(?:-|%{DATA:agent})\" (?:-|%{NOTSPACE:ssl_cipher}) "
     "(?:-|%{NOTSPACE:ssl_protocol}))?"},
    {"ELB_ACCESS_LOG",
     "%{TIMESTAMP_ISO8601:timestamp} %{NOTSPACE:elb} %{IP:clientip}:%{INT:clientport:int} "
     "(?:(?:%{IP:backendip}:?:%{INT:backendport:int})|-) %{NUMBER:request_processing_time:float} "
     "%{NUMBER:backend_processing_time:float} %{NUMBER:response_processing_time:float} "
     "(?:-|%{INT:response:int}) (?:-|%{INT:backend_response:int}) %{INT:received_bytes:int} "
     "%{INT:bytes:int} \"%{ELB_REQUEST_LINE}\""},
    {"CLOUDFRONT_ACCESS_LOG",
     "(?<timestamp>%{YEAR}-%{MONTHNUM}-%{MONTHDAY}\\t%{TIME})\\t%{WORD:x_edge_location}\\t(?:%{"
     "NUMBER:sc_bytes:int}|-)\\t%{IPORHOST:clientip}\\t%{WORD:cs_method}\\t%{HOSTNAME:cs_host}\\t%{"
     "NOTSPACE:cs_uri_stem}\\t%{NUMBER:sc_status:int}\\t%{GREEDYDATA:referrer}\\t%{GREEDYDATA:"
     "agent}\\t%{GREEDYDATA:cs_uri_query}\\t%{GREEDYDATA:cookies}\\t%{WORD:x_edge_result_type}\\t%{"
     "NOTSPACE:x_edge_request_id}\\t%{HOSTNAME:x_host_header}\\t%{URIPROTO:cs_protocol}\\t%{INT:cs_"
     "bytes:int}\\t%{NUMBER:time_taken:float}\\t%{GREEDYDATA:x_forwarded_for}\\t%{GREEDYDATA:ssl_"
     "protocol}\\t%{GREEDYDATA:ssl_cipher}\\t%{GREEDYDATA:x_edge_response_result_type}"},
};

static const qdi_grok_field fields[] = {
    {"clientip", "source.address"},
    {"clientport", "source.port:int"},
    {"client_ip", "source.address"},
    {"client_port", "source.port:int"},
    {"client_address", "source.ip"},
    {"ident", "apache.access.user.identity"},
    {"auth", "user.name"},
    {"user", "user.name"},
    {"verb", "http.request.method"},
    {"request", "url.original"},
    {"httpversion", "http.version"},
    {"response", "http.response.status_code:int"},
    {"bytes", "http.response.body.bytes:int"},
    {"referrer", "http.request.referrer"},
    {"agent", "user_agent.original"},
    {"loglevel", "log.level"},
    {"level", "log.level"},
    {"pid", "process.pid:int"},
    {"tid", "process.thread.id:int"},
    {"thread", "java.log.origin.thread.name"},
    {"module", "apache.error.module"},
    {"errorcode", "error.code"},
    {"proxy_errorcode", "apache.error.proxy.error.code"},
    {"proxy_message", "apache.error.proxy.error.message"},
    {"class", "java.log.origin.class.name"},
    {"method", "log.origin.function"},
    {"file", "log.origin.file.name"},
    {"line", "log.origin.file.line:int"},
    {"logmessage", "message"},
    {"frontend_name", "haproxy.frontend_name"},
    {"backend_name", "haproxy.backend_name"},
    {"server_name", "haproxy.server_name"},
    {"accept_date", "haproxy.request_date"},
    {"captured_request_headers", "haproxy.http.request.captured_headers"},
    {"captured_response_headers", "haproxy.http.response.captured_headers"},
    {"captured_request_cookie", "haproxy.http.request.captured_cookie"},
    {"captured_response_cookie", "haproxy.http.response.captured_cookie"},
    {"http_proto", "url.scheme"},
    {"http_user", "url.username"},
    {"http_host", "url.domain"},
    {"http_request", "url.original"},
    {"http_verb", "http.request.method"},
    {"http_version", "http.version"},
    {"http_status_code", "http.response.status_code:int"},
    {"bytes_read", "source.bytes:long"},
    {"time_request", "haproxy.http.request.time_wait_ms:int"},
    {"time_queue", "haproxy.total_waiting_time_ms:int"},
    {"time_backend_connect", "haproxy.connection_wait_time_ms:int"},
    {"time_backend_response", "haproxy.http.request.time_wait_without_data_ms:int"},
    {"time_duration", "temp.duration"},
    {"termination_state", "haproxy.termination_state"},
    {"actconn", "haproxy.connections.active:int"},
    {"feconn", "haproxy.connections.frontend:int"},
    {"beconn", "haproxy.connections.backend:int"},
    {"srvconn", "haproxy.connections.server:int"},
    {"retries", "haproxy.connections.retries:int"},
    {"srv_queue", "haproxy.server_queue:int"},
    {"backend_queue", "haproxy.backend_queue:int"},
    {"syslog_timestamp", "timestamp"},
    {"timestamp8601", "timestamp"},
    {"syslog_server", "host.hostname"},
    {"duration", "squid.request.duration:int"},
    {"cache_result", "event.action"},
    {"request_method", "http.request.method"},
    {"url", "url.original"},
    {"hierarchy_code", "squid.hierarchy_code"},
    {"server", "destination.address"},
    {"content_type", "http.response.mime_type"},
    {"owner", "aws.s3access.bucket_owner"},
    {"bucket", "aws.s3access.bucket"},
    {"requester", "client.user.id"},
    {"request_id", "aws.s3access.request_id"},
    {"operation", "aws.s3access.operation"},
    {"key", "aws.s3access.key"},
    {"error_code", "aws.s3access.error_code"},
    {"object_size", "aws.s3access.object_size:long"},
    {"request_time_ms", "aws.s3access.total_time:int"},
    {"turnaround_time_ms", "aws.s3access.turn_around_time:int"},
    {"version_id", "aws.s3access.version_id"},
    {"elb", "aws.elb.name"},
    {"backendip", "aws.elb.backend.ip"},
    {"backendport", "aws.elb.backend.port:int"},
    {"request_processing_time", "aws.elb.request_processing_time.sec:float"},
    {"backend_processing_time", "aws.elb.backend_processing_time.sec:float"},
    {"response_processing_time", "aws.elb.response_processing_time.sec:float"},
    {"backend_response", "aws.elb.backend.http.response.status_code:int"},
    {"received_bytes", "http.request.body.bytes:long"},
    {"path", "url.path"},
    {"params", "url.query"},
    {"proto", "url.scheme"},
    {"urihost", "url.domain"},
    {"port", "url.port:int"},
    {"ssl_cipher", "tls.cipher"},
    {"ssl_protocol", "aws.elb.ssl_protocol"},
    {"x_edge_location", "aws.cloudfront.x_edge_location"},
    {"sc_bytes", "destination.bytes:long"},
    {"cs_method", "http.request.method"},
    {"cs_host", "url.domain"},
    {"cs_uri_stem", "url.path"},
    {"sc_status", "http.response.status_code:int"},
    {"cs_uri_query", "url.query"},
    {"cookies", "aws.cloudfront.http.request.cookie"},
    {"x_edge_result_type", "aws.cloudfront.x_edge_result_type"},
    {"x_edge_request_id", "aws.cloudfront.x_edge_request_id"},
    {"x_host_header", "aws.cloudfront.http.request.host"},
    {"cs_protocol", "network.protocol"},
    {"cs_bytes", "source.bytes:long"},
    {"time_taken", "aws.cloudfront.time_taken:float"},
    {"x_forwarded_for", "network.forwarded_ip"},
    {"x_edge_response_result_type", "aws.cloudfront.x_edge_response_result_type"},
};

const qdi_grok_group qdi_grok_web = QDI_GROK_GROUP(patterns, fields);
