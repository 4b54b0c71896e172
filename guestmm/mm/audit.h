/* What each subject tells the host's audit: called by audit_root_fill(). */
#ifndef MM_AUDIT_H
#define MM_AUDIT_H
#include "mmvm/audit.h"
void audit_root_fill_mm(struct mmvm_audit_root *root);
void audit_root_fill_swap(struct mmvm_audit_root *root);
void audit_root_fill_lru(struct mmvm_audit_root *root);
#endif
