/*
 * algo_ref.c: the module's entry point.
 *
 * The only file that knows every room.  Nothing needs to be preloaded: a room
 * that has settings or hooks is initialised when the library is first loaded.
 */
#include "postgres.h"

#include "fmgr.h"

PG_MODULE_MAGIC;
