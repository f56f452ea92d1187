/* param_private.h - "; name=value" lists, of Content-Type and Content-Disposition. */
#ifndef US_STORE_MIME_PARAM_PRIVATE_H
#define US_STORE_MIME_PARAM_PRIVATE_H

#include "server/base/pool.h"
#include "server/store/mime/structure.h"
#include "server/store/mime/token.h"

/* More than anybody needs: a file name of 255 bytes in continuations of 60 takes 15. Those beyond are
 * dropped, since putting continuations together takes time squared in this number. */
#define MIME_PARAMS_MAX 64

/* Read what is left of the field, from the first ";" on. Values are unquoted, continuations joined. */
const struct mime_param *mime_params_read(struct mime_lexer *lx, struct pool *pool);

#endif
