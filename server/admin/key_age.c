/* key_age.c - see key_age.h. */
#include "server/admin/key_age.h"

#include <stdint.h>

#include "server/base/mem.h"
#include "server/base/span.h"

/* What Cyrus 3.6.1 says of its keys by `cyr_info -s`. */
static const struct {
	const char *version, *keys;
} ages[] = {
	{"3.6.0", "acl_admin_implies_write caldav_accept_invalid_rrules debug_writefail_guid "
		  "event_extra_params http_h2_altsvc http_jwt_key_dir http_jwt_max_age "
		  "icalendar_max_size jmap_max_catenate_items jmap_pushpoll "
		  "jmap_querycache_max_age mailbox_legacy_dirs reverseuniqueids "
		  "search_maxsize sieve_extensions sieve_folder specialuse_nochildren "
		  "sync_reconnect_maxwait vcard_max_size websocket_timeout"},
	{"3.3.1", "httplogheaders lmtp_preparse search_attachment_extractor_url "
		  "search_index_language search_index_skip_domains search_index_skip_users "
		  "sync_cache_db sync_cache_db_path sync_rightnow_channel"},
	{"3.3.0", "calendar_default_displayname conversations_keep_existing "
		  "conversations_max_guidexists conversations_max_guidinfolder "
		  "conversations_max_guidrecords jmap_max_size_blob_set "
		  "mailbox_maxmessages_addressbook mailbox_maxmessages_calendar "
		  "mailbox_maxmessages_email master_bind_errors_fatal quota_use_conversations "
		  "readonly search_query_language temp_path"},
	{"3.2.1", "search_index_parts"},
	{"3.2.0", "zoneinfo_dir"},
	{"3.1.9", "jmap_nonstandard_extensions"},
	{"3.1.8", "allowdeleted allowsetacl archive_after caldav_historical_age "
		  "client_timeout conversations_expire_after dav_lock_timeout "
		  "failedloginpause httpkeepalive httptimeout imapidlepoll imapidletimeout "
		  "jmap_max_delayed_send jmap_vacation jmappushsubscriptionfolder "
		  "jmapsubmission_deleteonsend jmapsubmissionfolder ldap_time_limit "
		  "ldap_timeout lmtp_exclude_specialuse lmtptxn_timeout nntptimeout "
		  "openio_proxy_timeout openio_rawx_timeout plaintextloginpause popexpiretime "
		  "popminpoll poptimeout prometheus_update_freq ptscache_timeout rss_maxage "
		  "sieve_duplicate_max_expiration sieve_vacation_max_response "
		  "sieve_vacation_min_response sync_repeat_interval sync_timeout "
		  "syslog_prefix tcp_keepalive_idle tcp_keepalive_intvl timeout "
		  "tls_server_cert tls_server_key tls_session_timeout tls_versions "
		  "virtdomains virusscan_notification_subject virusscan_notification_template"},
	{"3.1.7", "autoexpunge calendar_component_set cyrus_group httpmodules "
		  "search_queryscan search_stopword_path specialuse_protect"},
	{"3.1.6", "annotation_db annotation_enable_legacy_commands backup_db conversations_db "
		  "duplicate_db jmap_emailsearch_db_path "
		  "jmap_mail_max_size_attachments_per_email jmap_max_calls_in_request "
		  "jmap_max_concurrent_requests jmap_max_concurrent_upload "
		  "jmap_max_objects_in_get jmap_max_objects_in_set jmap_max_size_request "
		  "jmap_max_size_upload mboxkey_db mboxlist_db ptscache_db quota_db "
		  "search_indexed_db seenstate_db sortcache_db statuscache_db subscription_db "
		  "tls_sessions_db userdeny_db zoneinfo_db"},
	{"3.1.5", "jmap_set_has_attachment search_fuzzy_always"},
	{"3.1.4", "ischedule_dkim_required lock_debugtime smtp_auth_authname "
		  "smtp_auth_password smtp_auth_realm smtp_backend smtp_host "
		  "tls_server_dhparam"},
	{"3.1.3", "carddav_allowaddmember sendmail_auth_id"},
	{"3.1.2", "annotation_callout_disable_append caldav_allowcalendaradmin "
		  "carddav_allowaddressbookadmin implicit_owner_rights prometheus_enabled "
		  "prometheus_need_auth prometheus_stats_dir search_engine srs_domain "
		  "srs_hashlength srs_secrets srs_separator tls_crl_file"},
	{"3.1.1", "conversations_max_thread expunge_mode jmap_imagesize_annot "
		  "jmap_inlinedcids_annot jmap_preview_annot jmap_preview_length "
		  "jmapuploadfolder sieve_use_lmtp_reject specialusealways"},
	{"3.1.0", "backup_retention"},
	{"3.0.0", "allowplaintext altnamespace altprefix aps_topic aps_topic_caldav "
		  "aps_topic_carddav archive_enabled archive_keepflagged archive_maxsize "
		  "autocreate_quota_messages backup_compact_maxsize backup_compact_minsize "
		  "backup_compact_work_threshold backup_db_path backup_keep_previous "
		  "backup_staging_path caldav_allowattach caldav_create_attach "
		  "caldav_create_default caldav_create_sched carddav_repair_vcard "
		  "caringo_hostname caringo_port client_bind client_bind_name conversations "
		  "conversations_counted_flags crossdomains crossdomains_onlyother cyrus_user "
		  "davdriveprefix davnotificationsprefix defaultdomain defaultsearchtier "
		  "delete_unsubscribe event_groups fastmailsharing imipnotifier literalminus "
		  "metapartition_files notesmailbox object_storage_dummy_spool "
		  "object_storage_enabled openio_account openio_autocreate openio_namespace "
		  "openio_verbosity restore_authname restore_password restore_realm "
		  "reverseacls rfc2047_utf8 search_batchsize search_index_headers "
		  "search_maxtime search_normalisation_max search_skiphtml "
		  "search_snippet_length suppress_capabilities sync_batchsize sync_port "
		  "sync_try_imap telemetry_bysessionid tls_required uidl_format "
		  "unixhierarchysep xbackup_enabled"},
	{"2.5.0", "addressbookprefix annotation_allow_undefined annotation_callout "
		  "annotation_db_path annotation_definitions anysievefolder "
		  "autocreate_inbox_folders autocreate_post autocreate_quota "
		  "autocreate_sieve_folders autocreate_sieve_script "
		  "autocreate_sieve_script_compile autocreate_sieve_script_compiled "
		  "autocreate_subscribe_folders autocreate_subscribe_sharedfolders "
		  "autocreate_subscribe_sharedfolders_all autocreate_users boundary_limit "
		  "caldav_allowscheduling caldav_maxdatetime caldav_mindatetime caldav_realm "
		  "calendar_user_address_set calendarprefix carddav_realm chatty dav_realm "
		  "debug delete_mode disable_shared_namespace disable_user_namespace "
		  "duplicate_db_path event_content_inclusion_mode event_content_size "
		  "event_exclude_flags event_exclude_specialuse event_notifier flushseenstate "
		  "httpallowcompress httpallowcors httpallowedurls httpallowtrace "
		  "httpcontentmd5 httpdocroot httpprettytelemetry iolog ischedule_dkim_domain "
		  "ischedule_dkim_key_file ischedule_dkim_selector ldap_ca_dir ldap_ca_file "
		  "ldap_ciphers ldap_client_cert ldap_client_key ldap_domain_base_dn "
		  "ldap_domain_filter ldap_domain_name_attribute ldap_domain_result_attribute "
		  "ldap_domain_scope ldap_user_attribute ldap_verify_peer "
		  "lmtp_catchall_mailbox lmtp_downcase_rcpt lmtp_strict_rfc2821 "
		  "mailbox_initial_flags maxlogins_per_host maxlogins_per_user "
		  "mboxlist_db_path newsaddheaders newspostuser newsrc_db_path "
		  "partition_select_exclude partition_select_mode "
		  "partition_select_soft_usage_limit partition_select_usage_reinit proc_path "
		  "ptscache_db_path qosmarking quota_db_path quotawarnmsg "
		  "rss_feedlist_template rss_feeds rss_maxitems rss_maxsynopsis rss_realm "
		  "search_skipdiacrit search_whitespace serverlist_select_mode "
		  "serverlist_select_soft_usage_limit serverlist_select_usage_reinit "
		  "specialuse_extra srs_alwaysrewrite statuscache_db_path sync_authname "
		  "sync_host sync_log_channels sync_log_unsuppressable_channels sync_password "
		  "sync_realm sync_shutdown_file syslog_facility tls_ciphers "
		  "tls_client_ca_dir tls_client_ca_file tls_client_cert tls_client_certs "
		  "tls_client_key tls_eccurve tls_prefer_server_ciphers tls_server_ca_dir "
		  "tls_server_ca_file tls_sessions_db_path userdeny_db_path zoneinfo_db_path"},
	{"2.4.0", "auditlog commandmintimer mboxname_lockpath newsgroups notify_external "
		  "sync_log_chain tcp_keepalive tcp_keepalive_cnt"},
};

#define OLDEST "2.3.17" /* of all the others: nobody comes from further back */

const char *key_age(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(ages); i++)
		if (span_has_word(span_of(ages[i].keys), span_of(key)))
			return ages[i].version;
	return OLDEST;
}

bool cyrus_version_parse(const char *text, struct cyrus_version *out)
{
	struct cyrus_version version = {{0}};
	struct span rest = span_of(text), part;

	for (int i = 0; i < 3 && span_split(&rest, '.', &part); i++) {
		uint64_t n;
		if (!span_u64(part, 1000, &n))
			return false;
		version.number[i] = (unsigned)n;
	}
	if (!*text)
		return false;
	*out = version;
	return true;
}

int cyrus_version_cmp(const struct cyrus_version *a, const struct cyrus_version *b)
{
	for (int i = 0; i < 3; i++)
		if (a->number[i] != b->number[i])
			return a->number[i] < b->number[i] ? -1 : 1;
	return 0;
}
