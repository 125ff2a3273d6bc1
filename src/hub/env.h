/* hub/env.h - puts a job_env together and takes it apart.                    Layer 5. */
#ifndef SENDENSE_HUB_ENV_H
#define SENDENSE_HUB_ENV_H

#include "base/err.h"
#include "hub/data_dir.h"
#include "hub/hub.h"
#include "job/env.h"

/* Catalog (made when @create), sealing key, empty sets.  No repository is opened. */
int env_open(struct job_env *env, const struct data_dir *d, bool create, struct err *err);
void env_close(struct job_env *env);

/* What jobs that read stored data need: the worker, and the folder of sockets. */
int env_set_worker(struct job_env *env, const struct hub_options *o, struct err *err);
/* @given, or the program @name beside this one, or @name; caller frees. */
char *env_find_program(const char *given, const char *name);

#endif
