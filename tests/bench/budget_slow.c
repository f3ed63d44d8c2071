/* budget_slow.c: a parser that loops a little for each event, for the test that the instruction
 * budget finds such a thing (linked with --wrap). */
#include "json/reader.h"

qd_json_event __real_qd_json_next(qd_json_reader *r);
qd_json_event __wrap_qd_json_next(qd_json_reader *r);

qd_json_event __wrap_qd_json_next(qd_json_reader *r)
{
    for (volatile int i = 0; i < 4; i++) {}
    return __real_qd_json_next(r);
}
