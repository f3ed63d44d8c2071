/* bacula.c: the log of Bacula, a message a pattern. */
#include "ingest/patterns/patterns.h"

#define JOBS(x) "%{BACULA_LOG_" x "}"

static const qdi_grok_pattern
    patterns[] =
        {
            {"BACULA_TIMESTAMP", "%{MONTHDAY}-%{MONTH}(?:-%{YEAR})? %{HOUR}:%{MINUTE}"},
            {"BACULA_HOST", "[a-zA-Z0-9-]+"},
            {"BACULA_VOLUME", "%{USER}"},
            {"BACULA_DEVICE", "%{USER}"},
            {"BACULA_DEVICEPATH", "%{UNIXPATH}"},
            {"BACULA_CAPACITY", "%{INT}(?:,%{INT})*"},
            {"BACULA_VERSION", "%{USER}"},
            {"BACULA_JOB", "%{USER}"},
            {"BACULA_LOG_MAX_CAPACITY",
             "User defined maximum volume capacity %{BACULA_CAPACITY:max_capacity} exceeded on "
             "device \"%{BACULA_DEVICE:device}\" \\(%{BACULA_DEVICEPATH:device_path}\\)"},
            {"BACULA_LOG_END_VOLUME",
             "End of medium on Volume \"%{BACULA_VOLUME:volume}\" Bytes=%{BACULA_CAPACITY} "
             "Blocks=%{BACULA_CAPACITY} at %{MONTHDAY}-%{MONTH}-%{YEAR} %{HOUR}:%{MINUTE}\\."},
            {"BACULA_LOG_NEW_VOLUME",
             "Created new Volume \"%{BACULA_VOLUME:volume}\" in catalog\\."},
            {"BACULA_LOG_NEW_LABEL",
             "Labeled new Volume \"%{BACULA_VOLUME:volume}\" on (?:file )?device "
             "\"%{BACULA_DEVICE:device}\" \\(%{BACULA_DEVICEPATH:device_path}\\)\\."},
            {"BACULA_LOG_WROTE_LABEL",
             "Wrote label to prelabeled Volume \"%{BACULA_VOLUME:volume}\" on device "
             "\"%{BACULA_DEVICE:device}\" \\(%{BACULA_DEVICEPATH:device_path}\\)"},
            {"BACULA_LOG_NEW_MOUNT",
             "New volume \"%{BACULA_VOLUME:volume}\" mounted on device \"%{BACULA_DEVICE:device}\" "
             "\\(%{BACULA_DEVICEPATH:device_path}\\) at %{MONTHDAY}-%{MONTH}-%{YEAR} "
             "%{HOUR}:%{MINUTE}\\."},
            {"BACULA_LOG_NOOPEN", "\\s*Cannot open %{DATA}: ERR=%{GREEDYDATA:berror}"},
            {"BACULA_LOG_NOOPENDIR",
             "\\s*Could not open directory \"?%{DATA:dir}\"?: ERR=%{GREEDYDATA:berror}"},
            {"BACULA_LOG_NOSTAT",
             "\\s*Could not stat \"?%{DATA:file}\"?: ERR=%{GREEDYDATA:berror}"},
            {"BACULA_LOG_NOJOBS", "There are no more Jobs associated with Volume "
                                  "\"%{BACULA_VOLUME:volume}\"\\. Marking it purged\\."},
            {"BACULA_LOG_ALL_RECORDS_PRUNED", ".*?All records pruned from Volume "
                                              "\"%{BACULA_VOLUME:volume}\"; marking it \"Purged\""},
            {"BACULA_LOG_BEGIN_PRUNE_JOBS",
             "Begin pruning Jobs older than %{INT} month %{INT} days \\."},
            {"BACULA_LOG_BEGIN_PRUNE_FILES", "Begin pruning Files\\."},
            {"BACULA_LOG_PRUNED_JOBS",
             "Pruned %{INT} Jobs* for client %{BACULA_HOST:client} from catalog\\."},
            {"BACULA_LOG_PRUNED_FILES",
             "Pruned Files from %{INT} Jobs* for client %{BACULA_HOST:client} from catalog\\."},
            {"BACULA_LOG_ENDPRUNE", "End auto prune\\."},
            {"BACULA_LOG_STARTJOB", "Start Backup JobId %{INT}, Job=%{BACULA_JOB:job}"},
            {"BACULA_LOG_STARTRESTORE", "Start Restore Job %{BACULA_JOB:job}"},
            {"BACULA_LOG_USEDEVICE", "Using Device \"%{BACULA_DEVICE:device}\""},
            {"BACULA_LOG_DIFF_FS", "\\s*%{UNIXPATH} is a different filesystem\\. Will not descend "
                                   "from %{UNIXPATH} into it\\."},
            {"BACULA_LOG_JOBEND", "Job write elapsed time = %{DATA:elapsed}, Transfer rate = "
                                  "%{NUMBER} (?:K|M|G)? Bytes/second"},
            {"BACULA_LOG_NOPRUNE_JOBS", "No Jobs found to prune\\."},
            {"BACULA_LOG_NOPRUNE_FILES", "No Files found to prune\\."},
            {"BACULA_LOG_VOLUME_PREVWRITTEN",
             "Volume \"?%{BACULA_VOLUME:volume}\"? previously written, moving to end of data\\."},
            {"BACULA_LOG_READYAPPEND",
             "Ready to append to end of Volume \"%{BACULA_VOLUME:volume}\" size=%{INT}"},
            {"BACULA_LOG_CANCELLING", "Cancelling duplicate JobId=%{INT}\\."},
            {"BACULA_LOG_MARKCANCEL",
             "JobId %{INT}, Job %{BACULA_JOB:job} marked to be canceled\\."},
            {"BACULA_LOG_CLIENT_RBJ",
             "shell command: run ClientRunBeforeJob \"%{GREEDYDATA:runjob}\""},
            {"BACULA_LOG_VSS", "(?:Generate )?VSS (?:Writer)?"},
            {"BACULA_LOG_MAXSTART",
             "Fatal [Ee]rror: Job canceled because max start delay time exceeded\\."},
            {"BACULA_LOG_DUPLICATE", "Fatal [Ee]rror: JobId %{INT:duplicate} already running\\. "
                                     "Duplicate job not allowed\\."},
            {"BACULA_LOG_NOJOBSTAT", "Fatal [Ee]rror: No Job status returned from FD\\."},
            {"BACULA_LOG_FATAL_CONN", "Fatal [Ee]rror: bsock\\.c:133 Unable to connect to "
                                      "(?:Client: %{BACULA_HOST:client}|Storage daemon) on "
                                      "%{HOSTNAME}:%{POSINT}\\. ERR=(?<berror>%{GREEDYDATA})"},
            {"BACULA_LOG_NO_CONNECT",
             "Warning: bsock\\.c:127 Could not connect to (?:Client: %{BACULA_HOST:client}|Storage "
             "daemon) on %{HOSTNAME}:%{POSINT}\\. ERR=(?<berror>%{GREEDYDATA})"},
            {"BACULA_LOG_NO_AUTH", "Fatal error: Unable to authenticate with File daemon at "
                                   "%{HOSTNAME}\\. Possible causes:"},
            {"BACULA_LOG_NOSUIT",
             "No prior or suitable Full backup found in catalog\\. Doing FULL backup\\."},
            {"BACULA_LOG_NOPRIOR", "No prior Full backup Job record found\\."},
            {"BACULA_LOG_JOB",
             "(?:Error: )?Bacula %{BACULA_HOST} %{BACULA_VERSION} \\(%{BACULA_VERSION}\\):"},
            {"BACULA_LOG",
             "%{BACULA_TIMESTAMP:bts} %{BACULA_HOST:hostname} JobId %{INT:jobid}:? (?:" JOBS("MAX_"
                                                                                             "CAPAC"
                                                                                             "ITY") "|" JOBS("END_VOLUME") "|" JOBS("NEW_VOLUME") "|" JOBS("NEW_LABEL") "|" JOBS("WROTE_LABEL") "|" JOBS("NEW_MOUNT") "|" JOBS("NOOPEN") "|" JOBS("NOOPENDIR") "|" JOBS("NOSTAT") "|" JOBS("NOJOBS") "|" JOBS("ALL_RECORDS_PRUNED") "|" JOBS("BEGIN_PRUNE_JOBS") "|" JOBS("BEGIN_PRUNE_FILES") "|" JOBS("PRUNED_JOBS") "|" JOBS("PRUNED_FILES") "|" JOBS("ENDPRUNE") "|" JOBS("STARTJOB") "|" JOBS("STARTRESTORE") "|" JOBS("USEDEVICE") "|" JOBS("DIFF_FS") "|" JOBS("JOBEND") "|" JOBS("NOPRUNE_JOBS") "|" JOBS("NOPRUNE_FILES") "|" JOBS("VOLUME_PREVWRITTEN") "|" JOBS("READYAPPEND") "|" JOBS("CANCELLING") "|" JOBS("MARKCANCEL") "|" JOBS("CLIENT_RBJ") "|" JOBS("VSS") "|" JOBS("MAXSTART") "|" JOBS("DUPLICATE") "|" JOBS("NOJOBSTAT") "|" JOBS("FATAL_CONN") "|" JOBS("NO_CONNECT") "|" JOBS("NO_AUTH") "|" JOBS("NOSUIT") "|" JOBS("NOPRIOR") "|" JOBS("JOB") ")"},
            {"BACULA_LOGLINE", "%{BACULA_LOG}"},
};

static const qdi_grok_field fields[] = {
    {"max_capacity", "bacula.volume.max_capacity"},
    {"device", "bacula.volume.device"},
    {"device_path", "bacula.volume.path"},
    {"volume", "bacula.volume.name"},
    {"berror", "error.message"},
    {"dir", "file.path"},
    {"file", "file.path"},
    {"client", "bacula.client.name"},
    {"job", "bacula.job.name"},
    {"elapsed", "bacula.job.elapsed_time"},
    {"runjob", "bacula.job.client_run_before_command"},
    {"duplicate", "bacula.job.other_id"},
    {"bts", "timestamp"},
    {"hostname", "host.hostname"},
    {"jobid", "bacula.job.id"},
};

const qdi_grok_group qdi_grok_bacula = QDI_GROK_GROUP(patterns, fields);
