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

#endif
