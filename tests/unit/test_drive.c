/*
 * The ladder, told as scenarios: what happens, and what the machine does about it (drive_scenarios.h has the words).
 * test_drive_model.c looks for what nobody thought of; this says what everybody should know.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/drive_scenarios.h"

static const struct scenario scenarios[] = {
    /* ---- rung 1: ask ---- */
    {"an idle CD is asked for, and out", "1 ro",
     {{"eject 1", "ask"}, {"ok", "done 1"}, {"look", "empty"}}},
    {"a writable medium is synced after it is out", "2 rw",
     {{"eject 1", "ask"}, {"ok", "sync"}, {"ok", "done 1"}}},
    {"a sync that fails does not fail the eject, but is told", "2 rw",
     {{"eject 1", "ask"}, {"ok", "sync"}, {"error no_space", "done 1 not-durable"}}},
    {"nor does one that takes too long; its result is too late for everything", "2 rw",
     {{"eject 1", "ask"}, {"ok", "sync"}, {"+9999", "-"}, {"+1", "done 1 not-durable"}, {"late-ok", "-"}}},
    {"the medium decides, not the answer: \"ok\" with the medium still in is no eject", "1 ro",
     {{"eject 1 patience=0", "ask"}, {"ok-but-in", "failed 1 medium_in_use"}, {"look", "loaded locked"}}},
    {"of an empty drive it is said that it is empty only after a look", "empty",
     {{"eject 1", "observe"}, {"ok", "done 1 unchanged"}}},

    /* ---- patience ---- */
    {"a locked medium is asked for every half second until patience ends", "1 ro",
     {{"eject 1 patience=1200", "ask"}, {"busy", "-"}, {"+499", "-"}, {"+1", "ask"}, {"busy", "-"}, {"+500", "ask"}, {"busy", "-"},
      {"+199", "-"}, {"+1", "failed 1 medium_in_use"}, {"look", "loaded locked"}}},
    {"and goes when the host lets go within it", "1 ro",
     {{"eject 1 patience=1200", "ask"}, {"busy", "-"}, {"+500", "ask"}, {"ok", "done 1"}}},
    {"or when the host ejects by itself meanwhile", "1 ro",
     {{"eject 1 patience=60000", "ask"}, {"busy", "-"}, {"leaves", "observe"}, {"ok", "done 1 host-ejected"}}},
    {"without patience one question is asked", "1 ro", {{"eject 1 patience=0", "ask"}, {"busy", "failed 1 medium_in_use"}}},
    {"patience counts from the operation's turn, not from its acceptance", "1 ro",
     {{"eject 1 patience=2000", "ask"}, {"insert 2 3 ro patience=2000", "-"}, {"+1999", "-"}, {"ok", "done 1 open"},
      {"+1999", "-"}, {"ok", "-"}, {"+1001", "insert"}, {"ok", "done 2"}}},

    /* ---- rung 0: quiesce ---- */
    {"what the host wrote to just now is not taken", "2 rw",
     {{"writes", "-"}, {"eject 1 patience=10000", "-"}, {"look", "ejecting"}, {"+1999", "-"}, {"+1", "ask"}, {"ok", "sync"},
      {"ok", "done 1"}}},
    {"each further write begins the wait anew", "2 rw",
     {{"writes", "-"}, {"eject 1 patience=10000", "-"}, {"+1999", "-"}, {"writes", "-"}, {"+1999", "-"}, {"+1", "ask"}}},
    {"a host that never stops has its medium", "2 rw",
     {{"writes", "-"}, {"eject 1 patience=3000", "-"}, {"+1500", "-"}, {"writes", "-"}, {"+1500", "failed 1 medium_in_use"}}},
    {"what cannot be seen is not taken for quiet", "2 rw",
     {{"unseen", "-"}, {"eject 1 patience=3000", "-"}, {"+2999", "-"}, {"+1", "failed 1 medium_in_use"}}},
    {"until it can be seen again", "2 rw",
     {{"unseen", "-"}, {"eject 1 patience=3000", "-"}, {"+2000", "-"}, {"seen", "ask"}}},
    {"a read-only medium needs no quiet", "1 ro", {{"reads", "-"}, {"eject 1", "ask"}}},
    {"a write that was on its way when the medium went leaves a dangerous host", "2 rw",
     {{"eject 1", "ask"}, {"writes", "-"}, {"ok", "sync"}, {"ok", "done 1 raced stale"}, {"look", "empty stale"}}},

    /* ---- rung 2: force ---- */
    {"the pinhole does not ask", "1 ro", {{"eject 1 forced", "force"}, {"ok", "done 1 forced"}, {"look", "empty"}}},
    {"what was writable leaves a host that is dangerous", "2 rw",
     {{"eject 1 forced", "force"}, {"ok", "sync"}, {"ok", "done 1 forced stale"}, {"look", "empty stale"}}},
    {"when patience ends, where the request says so", "1 ro",
     {{"eject 1 patience=700 then-force", "ask"}, {"busy", "-"}, {"+500", "ask"}, {"busy", "-"}, {"+200", "force"},
      {"ok", "done 1 forced overridden"}}},
    {"also out of the wait for quiet", "2 rw",
     {{"writes", "-"}, {"eject 1 patience=1000 then-force", "-"}, {"+1000", "force"}, {"ok", "sync"}, {"ok", "done 1 forced stale"}}},
    {"the small race of forced_eject is tried again", "1 ro",
     {{"eject 1 forced", "force"}, {"busy", "-"}, {"+19", "-"}, {"+1", "force"}, {"ok", "done 1 forced"}}},
    {"where the kernel cannot, it is refused at once", "1 ro no-force",
     {{"eject 1 forced", "refused forced_eject_unavailable"}, {"look", "loaded"}}},
    {"and after patience it fails", "1 ro no-force",
     {{"eject 1 patience=0 then-force", "ask"}, {"busy", "failed 1 forced_eject_unavailable"}}},
    {"an empty drive is no trouble even then", "empty no-force",
     {{"eject 1 forced", "observe"}, {"ok", "done 1 unchanged"}}},

    /* ---- rung 3: break I/O ---- */
    {"a forced eject that waits for the host is freed, once", "1 ro signal",
     {{"eject 1 forced", "force"}, {"stops", "-"}, {"+1499", "-"}, {"+1", "BREAK"}, {"+200", "-"}, {"ok", "done 1 forced broke"},
      {"look", "quarantine"}, {"insert 2 3 ro patience=1000", "open"}, {"ok", "-"}, {"+1000", "failed 2 quarantine"}}},
    {"one that waits for storage is not: nothing but the storage can help", "1 ro signal",
     {{"eject 1 forced", "force"}, {"storage-stops", "-"}, {"+5000", "-"}, {"+5000", "failed 1 drive_stuck"}, {"look", "stuck"}}},
    {"nor is one of which nothing is known", "1 ro signal",
     {{"eject 1 forced", "force"}, {"unseen", "-"}, {"+5000", "-"}, {"+5000", "failed 1 drive_stuck"}}},
    {"an orderly eject has no permission to break", "1 ro signal",
     {{"eject 1", "ask"}, {"stops", "-"}, {"+9999", "-"}, {"+1", "failed 1 drive_stuck"}}},
    {"until its patience ends, where it says so", "1 ro signal",
     {{"eject 1 patience=3000 then-force", "ask"}, {"stops", "-"}, {"+2999", "-"}, {"+1", "BREAK"}, {"ok", "done 1 forced broke"}}},
    {"a writable medium leaves quarantine and a stale host", "2 rw signal",
     {{"eject 1 forced", "force"}, {"stops", "-"}, {"+1500", "BREAK"}, {"ok", "sync"}, {"ok", "done 1 forced stale broke"},
      {"look", "quarantine stale"}, {"+60000", "-"}, {"look", "empty stale"}}},
    {"a reattach ends both", "2 rw signal",
     {{"eject 1 forced", "force"}, {"stops", "-"}, {"+1500", "BREAK"}, {"ok", "sync"}, {"ok", "done 1 forced stale broke"},
      {"reenumerated", "-"}, {"look", "empty"}}},
    {"the operator breaks what waits for the host", "1 ro signal", {{"stops", "-"}, {"break", "BREAK"}, {"look", "loaded unannounced"}}},
    {"and nothing else", "1 ro signal", {{"break", "-"}, {"storage-stops", "-"}, {"break", "-"}}},

    /* ---- rung 3: cut the storage ---- */
    {"a forced eject that waits for storage that is ours has it cut", "1 ro signal may-cut",
     {{"eject 1 forced", "force"}, {"storage-stops", "-"}, {"+4999", "-"}, {"+1", "CUT"}, {"+100", "-"}, {"ok", "done 1 forced cut"},
      {"look", "empty"}}},
    {"not before its time, when it comes back by itself", "1 ro signal may-cut",
     {{"eject 1 forced", "force"}, {"storage-stops", "-"}, {"+4999", "-"}, {"ok", "done 1 forced"}}},
    {"not where it waits for the host", "1 ro signal may-cut",
     {{"eject 1 forced", "force"}, {"stops", "-"}, {"+5000", "BREAK"}, {"ok", "done 1 forced broke"}}},
    {"nor where nothing is known", "1 ro signal may-cut",
     {{"eject 1 forced", "force"}, {"storage-stops", "-"}, {"unseen", "-"}, {"+9999", "-"}, {"+1", "failed 1 drive_stuck"}}},
    {"an orderly eject has no permission to cut", "1 ro may-cut",
     {{"eject 1", "ask"}, {"storage-stops", "-"}, {"+9999", "-"}, {"+1", "failed 1 drive_stuck"}}},
    {"until its patience ends, where it says so", "1 ro may-cut",
     {{"eject 1 patience=7000 then-force", "ask"}, {"storage-stops", "-"}, {"+6999", "-"}, {"+1", "CUT"}, {"ok", "done 1 cut"}}},
    {"what was writable is not durable, whatever a sync says then", "2 rw may-cut",
     {{"eject 1 forced", "force"}, {"storage-stops", "-"}, {"+5000", "CUT"}, {"ok", "sync"}, {"ok", "done 1 forced stale not-durable cut"},
      {"look", "empty stale"}}},
    {"the host's patience counts without any operation", "1 ro may-cut",
     {{"patience-until 4000", "-"}, {"+3999", "-"}, {"+1", "CUT"}, {"+5000", "-"}, {"look", "loaded"}, {"goes-on", "-"},
      {"eject 1", "ask"}, {"ok", "done 1 cut"}}},
    {"and in a drive that is stuck", "1 ro may-cut",
     {{"eject 1", "ask"}, {"storage-stops", "-"}, {"+10000", "failed 1 drive_stuck"}, {"patience-until 2000", "-"}, {"+2000", "CUT"}, {"ok", "-"},
      {"look", "empty"}}},
    {"but where nothing may be cut, nothing is", "1 ro",
     {{"patience-until 4000", "-"}, {"+4000", "-"}, {"break", "-"}, {"look", "loaded"}}},
    {"the operator cuts at once, and once", "1 ro may-cut", {{"storage-stops", "-"}, {"break", "CUT"}, {"break", "-"}}},
    {"another medium has another storage", "1 ro may-cut",
     {{"storage-stops", "-"}, {"break", "CUT"}, {"goes-on", "-"}, {"eject 1", "ask"}, {"ok", "done 1 cut"}, {"insert 2 3 ro", "open"},
      {"ok", "-"}, {"+3000", "insert"}, {"ok", "done 2"}, {"storage-stops", "-"}, {"break", "CUT"}}},

    /* ---- a signal that was for a sibling ---- */
    {"a medium that the host may not have noticed is announced again", "1 ro",
     {{"cleared", "-"}, {"look", "loaded unannounced"}, {"+99", "-"}, {"+1", "announce"}, {"ok", "-"}, {"look", "loaded"}, {"+9999", "-"}}},
    {"not where the host was seen to poll", "1 ro", {{"polls", "-"}, {"cleared", "-"}, {"look", "loaded"}, {"+1000", "-"}}},
    {"nor what was written to: the host may have more to write", "2 rw",
     {{"writes", "-"}, {"cleared", "-"}, {"+5000", "-"}, {"look", "loaded unannounced"}}},
    {"also when it is written to meanwhile", "2 rw", {{"cleared", "-"}, {"writes", "-"}, {"+100", "-"}, {"look", "loaded unannounced"}}},
    {"what the host has locked again is tried a few times", "1 ro",
     {{"cleared", "-"}, {"+100", "announce"}, {"busy", "-"}, {"look", "loaded unannounced locked"}, {"+499", "-"}, {"+1", "announce"},
      {"busy", "-"}, {"+500", "announce"}, {"busy", "-"}, {"+500", "announce"}, {"busy", "-"}, {"+500", "announce"}, {"busy", "-"},
      {"+500", "-"}, {"look", "loaded unannounced locked"}}},
    {"an operation that waits comes first", "1 ro",
     {{"eject 1 patience=600", "ask"}, {"busy", "-"}, {"cleared", "-"}, {"+499", "-"}, {"+1", "ask"}, {"busy", "-"},
      {"+100", "failed 1 medium_in_use"}, {"+0", "announce"}}},
    {"one that is asked for meanwhile waits", "1 ro",
     {{"cleared", "-"}, {"+100", "announce"}, {"eject 1", "-"}, {"ok", "ask"}, {"ok", "done 1"}}},
    {"a swap that was under way may have been before the signal", "1 ro",
     {{"insert 1 3 ro swap", "open"}, {"ok", "swap"}, {"cleared", "-"}, {"ok", "done 1"}, {"look", "loaded unannounced"}, {"+100", "announce"}}},
    {"so may an announcement", "1 ro",
     {{"cleared", "-"}, {"+100", "announce"}, {"cleared", "-"}, {"ok", "-"}, {"look", "loaded unannounced"}, {"+100", "announce"}}},
    {"a host that ejects needs no announcement", "1 ro",
     {{"cleared", "-"}, {"+100", "announce"}, {"leaves", "-"}, {"ok", "host-ejected observe"}, {"ok", "-"}, {"look", "empty"}}},
    {"a writable medium whose lock was cleared is not asked for", "2 rw",
     {{"writes", "-"}, {"cleared", "-"}, {"+5000", "-"}, {"eject 1 patience=3000", "-"}, {"+2999", "-"}, {"+1", "failed 1 medium_in_use"},
      {"eject 2 patience=1000 then-force", "-"}, {"+1000", "force"}, {"ok", "sync"}, {"ok", "done 2 forced stale"}}},
    {"nor was it given, when it had just been asked for", "2 rw",
     {{"eject 1", "ask"}, {"cleared", "-"}, {"ok", "sync"}, {"ok", "done 1 stale"}, {"look", "empty stale"}}},
    {"until it was announced again", "2 rw", {{"cleared", "-"}, {"+100", "announce"}, {"ok", "-"}, {"eject 1", "ask"}}},
    {"or the host is seen to lock it", "2 rw", {{"cleared", "-"}, {"+100", "announce"}, {"busy", "-"}, {"eject 1", "ask"}}},
    {"a host locks again by itself after a reset of its own", "2 rw", {{"cleared-by-host", "-"}, {"eject 1", "ask"}}},
    {"the command that was broken may have been this drive's", "1 ro",
     {{"cleared-by-break", "-"}, {"eject 1", "ask"}, {"ok", "done 1"}, {"look", "quarantine"}}},
    {"so it is not swapped in place", "1 ro signal",
     {{"stops", "-"}, {"break", "BREAK"}, {"insert 1 3 ro swap patience=1000", "open"}, {"ok", "ask"}, {"ok", "-"}, {"look", "quarantine"},
      {"+1000", "failed 1 quarantine"}}},

    {"nor is it while the host is in the middle of a command", "1 ro",
     {{"stops", "-"}, {"insert 1 3 ro swap patience=1000", "open"}, {"ok", "-"}, {"+20", "-"}, {"goes-on", "swap"}, {"ok", "done 1"}}},
    {"not even when patience ends", "1 ro",
     {{"stops", "-"}, {"insert 1 3 ro swap patience=1000", "open"}, {"ok", "-"}, {"+1000", "failed 1 medium_in_use"}}},
    {"a swap that was broken into is taken back", "1 ro",
     {{"insert 1 3 ro swap patience=9000", "open"}, {"ok", "swap"}, {"cleared-by-break", "-"}, {"ok", "ask"}, {"ok", "-"},
      {"look", "quarantine"}, {"+9000", "failed 1 quarantine"}}},

    /* ---- without forced_eject ---- */
    {"a medium that is not locked needs no force", "1 ro no-force signal", {{"eject 1 forced", "ask"}, {"ok", "done 1 forced"}}},
    {"a locked and idle one is signalled in that moment", "1 ro no-force signal",
     {{"eject 1 forced", "ask"}, {"busy", "signal"}, {"ok", "done 1 forced overridden"}, {"look", "empty"}}},
    {"a busy host gets a second and a half to pause", "1 ro no-force signal",
     {{"reads", "-"}, {"eject 1 forced", "ask"}, {"busy", "-"}, {"+100", "-"}, {"reads", "-"}, {"+149", "-"}, {"+20", "signal"},
      {"ok", "done 1 forced overridden"}}},
    {"and is interrupted then, at the price of a quarantine", "1 ro no-force signal",
     {{"eject 1 forced", "ask"}, {"stops", "-"}, {"busy", "-"}, {"+1499", "-"}, {"+1", "signal"},
      {"ok", "done 1 forced overridden broke"}, {"look", "quarantine"}}},
    {"where it may be disconnected instead, that comes soon: it shall read again within 3 s", "1 ro no-force signal may-reattach",
     {{"reads", "-"}, {"eject 1 forced", "ask"}, {"busy", "-"}, {"stops", "-"}, {"reads", "-"}, {"+199", "-"}, {"+1", "reattach"}}},
    {"a pause within that time is enough", "1 ro no-force signal may-reattach",
     {{"reads", "-"}, {"+20", "-"}, {"eject 1 forced", "ask"}, {"busy", "-"}, {"+130", "signal"}, {"ok", "done 1 forced overridden"}}},
    {"but never while its thread waits for storage", "1 ro no-force signal",
     {{"eject 1 forced patience=5000", "ask"}, {"storage-stops", "-"}, {"busy", "-"}, {"+5000", "failed 1 medium_in_use"}}},
    {"one signal for one decision", "1 ro no-force signal",
     {{"eject 1 forced", "ask"}, {"busy", "signal"}, {"busy", "-"}, {"+20", "failed 1 medium_in_use"}}},

    /* ---- a call of which nobody knows what it did ---- */
    {"is looked into", "1 ro",
     {{"eject 1 forced", "force"}, {"error internal unread", "failed 1 internal observe"}, {"ok", "-"}, {"look", "loaded"}}},
    {"and may have robbed the host of a writable medium", "2 rw",
     {{"eject 1 forced", "force"}, {"leaves", "-"}, {"error internal unread", "failed 1 internal observe"}, {"ok", "host-ejected"},
      {"look", "empty stale"}}},
    {"so may a question, which a write can overtake", "2 rw",
     {{"eject 1", "ask"}, {"error internal unread", "failed 1 internal observe"}, {"look", "loaded stale"}}},
    {"a signal that may have been sent leaves a quarantine", "1 ro no-force signal",
     {{"eject 1 forced", "ask"}, {"stops", "-"}, {"busy", "-"}, {"+1500", "signal"}, {"error internal", "-"}, {"leaves", "observe"},
      {"ok", "done 1 broke host-ejected"}, {"look", "quarantine"}}},
    {"one that was not sent leaves none", "1 ro no-force signal",
     {{"eject 1 forced", "ask"}, {"stops", "-"}, {"busy", "-"}, {"+1500", "signal"}, {"error forced_eject_unavailable", "-"},
      {"leaves", "observe"}, {"ok", "done 1 host-ejected"}, {"look", "empty"}}},

    /* ---- policy ---- */
    {"a CD that is locked and not read is released after patience", "1 ro",
     {{"+40000", "-"}, {"eject 1 patience=400 release", "ask"}, {"busy", "-"}, {"+400", "force"}, {"ok", "done 1 forced overridden"}}},
    {"not when it was read within the last 30 s", "1 ro",
     {{"+40000", "-"}, {"reads", "-"}, {"eject 1 patience=29999 release", "ask"}, {"busy", "-"}, {"+29999", "failed 1 medium_in_use"}}},
    {"not when it went in within the last 30 s", "1 ro",
     {{"eject 1 patience=400 release", "ask"}, {"busy", "-"}, {"+400", "failed 1 medium_in_use"}}},
    {"never what is writable", "2 rw",
     {{"+40000", "-"}, {"eject 1 patience=400 release", "ask"}, {"busy", "-"}, {"+400", "failed 1 medium_in_use"}}},
    {"not when nothing can be seen", "1 ro",
     {{"+40000", "-"}, {"unseen", "-"}, {"eject 1 patience=400 release", "ask"}, {"busy", "-"}, {"+400", "failed 1 medium_in_use"}}},

    /* ---- the queue ---- */
    {"an equal eject joins the one that waits", "1 ro",
     {{"eject 1 patience=5000", "ask"}, {"busy", "-"}, {"eject 2 patience=5000", "joins 1"}, {"eject 3 patience=6000", "-"}}},
    {"a forced one takes over the one that waits", "1 ro",
     {{"eject 1 patience=60000", "ask"}, {"busy", "-"}, {"eject 2 forced", "joins 1 force"}, {"ok", "done 1 forced overridden"}}},
    {"also while the kernel is being asked", "1 ro",
     {{"eject 1 patience=60000", "ask"}, {"eject 2 forced", "joins 1"}, {"busy", "force"}, {"ok", "done 1 forced overridden"}}},
    {"it does not take over an eject of another medium", "1 ro",
     {{"eject 1 patience=60000", "ask"}, {"busy", "-"}, {"eject 2 forced if=77", "force"},
      {"ok", "done 1 forced overridden failed 2 precondition_failed"}}},
    {"the pinhole does not wait behind an insert that waits for the medium to leave", "1 ro",
     {{"insert 1 3 ro patience=60000", "open"}, {"ok", "ask"}, {"busy", "-"}, {"eject 2 forced", "force"}, {"ok", "-"},
      {"+3000", "insert"}, {"ok", "done 1 forced overridden force"}, {"ok", "done 2 forced"}}},
    {"a failure fails all behind it; later ones start afresh", "1 ro",
     {{"eject 1 patience=400", "ask"}, {"busy", "-"}, {"insert 2 3 ro", "-"}, {"eject 3 patience=1", "-"},
      {"+400", "failed 1 medium_in_use failed 2 earlier_operation_failed failed 3 earlier_operation_failed"},
      {"eject 4 forced", "force"}}},
    {"a cancellation is no failure", "1 ro",
     {{"eject 1 patience=60000", "ask"}, {"busy", "-"}, {"eject 2 patience=1", "-"}, {"cancel 1", "cancelled 1 ask"}, {"ok", "done 2"}}},
    {"one behind can be cancelled too", "1 ro",
     {{"eject 1 patience=60000", "ask"}, {"insert 2 3 ro", "-"}, {"cancel 2", "cancelled 2"}, {"ok", "done 1"}}},
    {"one that is just asking ends with the answer", "1 ro", {{"eject 1", "ask"}, {"cancel 1", "-"}, {"busy", "cancelled 1"}}},
    {"which may be that it is done", "1 ro", {{"eject 1", "ask"}, {"cancel 1", "-"}, {"ok", "done 1"}}},
    {"what cannot be taken back is not cancelled", "1 ro",
     {{"eject 1 forced", "force"}, {"cancel 1", "refused too_late"}, {"ok", "done 1 forced"}}},
    {"nor what is not there", "1 ro", {{"cancel 9", "refused not_found"}, {"force 9", "refused not_found"}}},
    {"an eject that waits can be forced", "1 ro",
     {{"eject 1 patience=60000", "ask"}, {"busy", "-"}, {"force 1", "force"}, {"ok", "done 1 forced overridden"}}},
    {"an insert that has emptied the drive cannot", "1 ro",
     {{"insert 1 3 ro", "open"}, {"ok", "ask"}, {"ok", "-"}, {"force 1", "refused too_late"}, {"+3000", "insert"}}},
    {"where the kernel cannot, nobody can", "1 ro no-force",
     {{"eject 1 patience=60000", "ask"}, {"busy", "-"}, {"force 1", "refused forced_eject_unavailable"}}},

    /* ---- insert ---- */
    {"into an empty drive", "empty", {{"insert 1 2 rw", "open"}, {"ok", "insert"}, {"ok", "done 1"}, {"look", "loaded"}}},
    {"an image that cannot be opened leaves what is in", "1 ro",
     {{"insert 1 3 ro", "open"}, {"error image_missing", "failed 1 image_missing"}, {"look", "loaded"}}},
    {"a store that does not answer in time, too; and what it says later is nobody's", "1 ro",
     {{"insert 1 3 ro", "open"}, {"+10000", "failed 1 unavailable"}, {"late-ok", "-"}, {"look", "loaded"}}},
    {"one after the other, with time for the host to see the empty drive", "1 ro",
     {{"insert 1 3 ro", "open"}, {"ok", "ask"}, {"ok", "-"}, {"look", "inserting"}, {"+2999", "-"}, {"+1", "insert"}, {"ok", "done 1"}}},
    {"no time is owed where no host is", "1 ro",
     {{"unbound", "-"}, {"eject 1", "ask"}, {"ok", "done 1"}, {"insert 2 3 ro", "failed 2 gadget_detached"}}},
    {"the same image the same way is there already", "1 ro",
     {{"insert 1 1 ro", "observe"}, {"ok", "done 1 unchanged"}}},
    {"the same image in another way is another matter", "2 rw",
     {{"insert 1 2 ro", "observe"}, {"ok", "failed 1 medium_differs"}}},
    {"what the kernel took in another way than asked is not done", "empty",
     {{"insert 1 2 rw", "open"}, {"ok", "insert"}, {"ok-but-ro", "failed 1 internal"}, {"look", "loaded"}}},
    {"a kernel that takes nothing leaves it empty", "1 ro",
     {{"insert 1 3 ro", "open"}, {"ok", "ask"}, {"ok", "-"}, {"+3000", "insert"}, {"error image_unusable", "failed 1 image_unusable"},
      {"look", "empty"}}},
    {"only into an empty drive, where asked so", "1 ro", {{"insert 1 3 ro if-empty", "failed 1 precondition_failed"}}},
    {"only in place of a certain medium", "1 ro",
     {{"insert 1 3 ro if=4", "failed 1 precondition_failed"}, {"insert 2 3 ro if=1", "open"}}},
    {"what the host took out meanwhile is asked for in vain, which does no harm", "1 ro",
     {{"insert 1 3 ro", "open"}, {"leaves", "-"}, {"ok", "ask"}, {"ok", "observe"}, {"ok", "-"}, {"+3000", "insert"}}},

    /* ---- swap ---- */
    {"read-only for read-only, without an empty drive in between", "1 ro",
     {{"insert 1 3 ro swap", "open"}, {"ok", "swap"}, {"ok", "done 1"}}},
    {"waits for a host that holds the medium, as an eject does", "1 ro",
     {{"insert 1 3 ro swap patience=600", "open"}, {"ok", "swap"}, {"busy", "-"}, {"+500", "swap"}, {"busy", "-"},
      {"+100", "failed 1 medium_in_use"}, {"look", "loaded locked"}}},
    {"never in place of a writable medium", "2 rw",
     {{"insert 1 3 ro swap", "open"}, {"ok", "ask"}, {"ok", "sync"}, {"ok", "-"}, {"+3000", "insert"}, {"ok", "done 1"}}},
    {"never by a writable one", "1 ro",
     {{"insert 1 2 rw swap", "open"}, {"ok", "ask"}, {"ok", "-"}, {"+3000", "insert"}, {"ok", "done 1"}}},

    /* ---- a host that was robbed ---- */
    {"nothing writable goes in under a stale host, and nothing is touched for it", "1 ro stale",
     {{"insert 1 2 rw", "failed 1 stale_host"}, {"look", "loaded stale"}}},
    {"read-only does, and changes nothing about it", "empty stale",
     {{"insert 1 1 ro", "open"}, {"ok", "insert"}, {"ok", "done 1"}, {"look", "loaded stale"}}},
    {"who takes the risk takes it away", "empty stale",
     {{"insert 1 2 rw accept", "open"}, {"ok", "insert"}, {"ok", "done 1"}, {"look", "loaded"}}},
    {"but not by a read-only insert", "empty stale",
     {{"insert 1 1 ro accept", "open"}, {"ok", "insert"}, {"ok", "done 1"}, {"look", "loaded stale"}}},
    {"an insert can ask for a reattach", "empty stale",
     {{"insert 1 2 rw reattach", "open"}, {"ok", "reattach"}, {"ok", "insert"}, {"ok", "done 1 reattached"}, {"look", "loaded"}}},
    {"which policy may forbid", "empty stale never-reattach",
     {{"insert 1 2 rw reattach", "open"}, {"ok", "failed 1 reattach_not_allowed"}, {"look", "empty stale"}}},
    {"and others may forbid", "empty stale",
     {{"insert 1 2 rw reattach", "open"}, {"ok", "reattach"}, {"error collateral_in_use", "failed 1 collateral_in_use"},
      {"look", "empty stale"}}},
    {"none is made where none is needed", "empty", {{"insert 1 2 rw reattach", "open"}, {"ok", "insert"}}},
    {"a reattach by somebody else is as good", "empty stale", {{"reenumerated", "-"}, {"look", "empty"}}},
    {"and so is a person's word", "empty stale", {{"accept-stale", "-"}, {"look", "empty"}}},

    /* ---- quarantine ---- */
    {"nothing goes in; time ends it", "empty",
     {{"quarantine 5000", "-"}, {"look", "quarantine"}, {"insert 1 1 ro patience=9000", "open"}, {"ok", "-"}, {"+4999", "-"},
      {"+1", "insert"}}},
    {"or patience does", "empty",
     {{"quarantine 5000", "-"}, {"insert 1 1 ro patience=2000", "open"}, {"ok", "-"}, {"+2000", "failed 1 quarantine"},
      {"look", "quarantine"}}},
    {"a reattach ends it", "empty",
     {{"quarantine 5000", "-"}, {"insert 1 1 ro reattach", "open"}, {"ok", "reattach"}, {"ok", "insert"}, {"ok", "done 1 reattached"}}},
    {"time alone does not make a stale host a good one", "empty stale",
     {{"quarantine 5000", "-"}, {"+5000", "-"}, {"look", "empty stale"}, {"insert 1 2 rw", "failed 1 stale_host"}}},

    /* ---- stuck ---- */
    {"a call that does not return in time makes the drive stuck, and fails all", "1 ro",
     {{"eject 1 forced", "force"}, {"insert 2 3 ro", "-"}, {"+9999", "-"}, {"+1", "failed 1 drive_stuck failed 2 earlier_operation_failed"},
      {"look", "stuck"}, {"eject 3", "refused drive_stuck"}}},
    {"when it returns after all, what it did stands", "2 rw",
     {{"eject 1 forced", "force"}, {"+10000", "failed 1 drive_stuck"}, {"ok", "-"}, {"look", "empty stale"}}},
    {"also when it did nothing", "1 ro",
     {{"eject 1", "ask"}, {"+10000", "failed 1 drive_stuck"}, {"busy", "-"}, {"look", "loaded"}, {"eject 2", "ask"}}},
    {"a drive that an earlier process still waits for is stuck until that ends", "1 ro",
     {{"held", "-"}, {"look", "stuck"}, {"eject 1", "refused drive_stuck"}, {"ok", "-"}, {"look", "loaded"}}},

    /* ---- the host, and the plug ---- */
    {"the host's own eject is seen, not believed", "1 ro",
     {{"leaves", "observe"}, {"ok", "host-ejected"}, {"look", "empty"}, {"leaves", "observe"}, {"ok", "-"}}},
    {"an unbound gadget's drives are detached, and keep their media", "1 ro",
     {{"unbound", "-"}, {"look", "detached"}, {"eject 1", "ask"}, {"ok", "done 1"}, {"bound", "-"}, {"look", "empty"}}},
};

/* A runaway script does not fill the memory. */
static void a_queue_is_bounded(void **state attr_unused)
{
    struct bench b;
    char text[256], request[64];
    struct words w;
    begin(&b, "1 ro");
    for (int i = 1; i <= DRIVE_QUEUE_MAX; i++) {
        snprintf(request, sizeof request, "eject %d patience=%d", i, 1000 + i);
        split(request, &w);
        step(&b, &w, text, sizeof text);
        assert_string_equal(text, i == 1 ? "ask" : "-");
    }
    split("eject 99 patience=1", &w);
    step(&b, &w, text, sizeof text);
    assert_string_equal(text, "refused too_many_requests");
}

static void force_is_not_tried_for_ever(void **state attr_unused)
{
    struct bench b;
    char text[256];
    struct words request, busy, later;
    split("eject 1 forced", &request);
    split("busy", &busy);
    split("+20", &later);
    begin(&b, "1 ro");
    step(&b, &request, text, sizeof text);
    for (int i = 1; i < DRIVE_FORCE_TRIES; i++) {
        assert_string_equal(text, "force");
        step(&b, &busy, text, sizeof text);
        assert_string_equal(text, "-");
        step(&b, &later, text, sizeof text);
    }
    step(&b, &busy, text, sizeof text);
    assert_string_equal(text, "failed 1 medium_in_use");
}

int main(void)
{
    struct CMUnitTest tests[ARRAY_LEN(scenarios) + 2] = {
        cmocka_unit_test(a_queue_is_bounded),
        cmocka_unit_test(force_is_not_tried_for_ever),
    };
    for (size_t i = 0; i < ARRAY_LEN(scenarios); i++)
        tests[i + 2] = (struct CMUnitTest){.name = scenarios[i].name, .test_func = play, .initial_state = (void *)(uintptr_t)&scenarios[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
