/*
 * fault.h - points at which a process of a test build dies when it is told to.
 *
 * A fault point stands before and after each effect that another process, the kernel or a person can see. In a build
 * with VARIANT=faults each passage looks into the directory that the environment variable TRAYD_FAULTS names; in any
 * other build there is nothing. Two files in that directory, both made by a test, steer it:
 *
 *   passages   where it exists, each passage appends a line: "daemon NAME" or "worker NAME". So a test learns what an
 *              operation passes, and can then die at each of them
 *   order      lines "NAME COUNT WHO". The first one counts: at the COUNTth passage of the point NAME ("*": of any) WHO
 *              gets SIGKILL, and the next line takes its place, for a death during the recovery. WHO is "daemon": the
 *              process that passed its first point before all others, and the one that passes this point, if that is a
 *              worker of it; or "self": only the one that passes
 *
 * Whoever dies appends "WHO NAME" to the file `deaths`. All of them may be passed by several processes at a time.
 */
#pragma once

#ifdef TRAYD_FAULTS
void fault_point(const char *name);
#define FAULT_POINT(name) fault_point(name)
#else
#define FAULT_POINT(name) ((void)0)
#endif
