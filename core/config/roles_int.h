/* roles_int.h: defaults that follow from a node's roles, its container and its product. */
#ifndef QD_CONFIG_ROLES_INT_H
#define QD_CONFIG_ROLES_INT_H

#include "config/settings.h"

#define QDI_ROLE_ORIGIN "default of the role"
#define QDI_PRODUCT_ORIGIN "default of compatibility.identity"

/* Is it a role that a node can be made for (--role)? QD_E_CONFIG */
int qdi_roles_known(qd_str role, qd_err *err);
/* Puts the defaults of role (empty: none was asked for), of set, the value of node.roles, and of
 * tier, that of storage.tier, where they are given (NULL: not), into out. */
int qdi_roles_defaults(qd_str role, const qd_setting_value *set, const qd_setting_value *tier,
                       qd_settings *out, qd_err *err);
/* Puts the defaults of a node in a container, whatever its roles. */
int qdi_container_defaults(qd_settings *out, qd_err *err);
/* Puts the defaults that belong to the value of compatibility.identity (NULL: not given). */
int qdi_product_defaults(const qd_setting_value *identity, qd_settings *out, qd_err *err);

#endif
