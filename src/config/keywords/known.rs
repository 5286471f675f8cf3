//! Names that HAProxy knows and oneport has not built yet, so that a message can say just that instead of
//! calling them unknown. Whoever builds one moves it from here into its table.
//!
//! One string a group, names separated by `|`: a table of slices would weigh four times as much.

use super::Sections;

/// Proxy and global keywords by the sections HAProxy allows them in.
pub(crate) const KEYWORDS: &[(Sections, &str)] = &[
    (Sections::GLOBAL, "h1-accept-payload-with-any-method|pp2-never-send-local|set-var|set-var-fmt"),
    (
        Sections::DEFAULTS.or(Sections::FRONTEND).or(Sections::LISTEN),
        "log-steps|option http-drop-request-trailers|option httpslog|quic-initial",
    ),
    (Sections::DEFAULTS.or(Sections::LISTEN).or(Sections::BACKEND), "option http-drop-response-trailers"),
    (Sections::FRONTEND.or(Sections::LISTEN).or(Sections::BACKEND), "filter"),
];

/// Parameters of a `bind` line.
pub(crate) const BIND: &str = "accept-netscaler-cip|proto|ssl";

/// Sample fetches and the ACL spellings of them.
pub(crate) const FETCHES: &str = "base32|bc_dst|bc_dst_port|bc_err|bc_err_str|bc_http_major|bc_src|bc_src_port|be_conn_free|\
     be_server_timeout|be_sess_rate|be_tunnel_timeout|bin|capture.res.ver|cpu_calls|cpu_ns_avg|\
     cpu_ns_tot|cur_server_timeout|cur_tunnel_timeout|date_us|distcc_body|distcc_param|dst_conn|\
     dst_is_local|fc_dst_is_local|fc_err|fc_err_str|fc_fackets|fc_http_major|fc_lost|\
     fc_pp_authority|fc_pp_unique_id|fc_rcvd_proxy|fc_reordering|fc_retrans|fc_rtt|fc_rttvar|\
     fc_sacked|fc_src_is_local|fc_unacked|fcgi.docroot|fcgi.index|fe_client_timeout|fe_req_rate|\
     fe_sess_rate|hostname|http_auth_bearer|http_first_req|internal.htx.data|internal.htx.free|\
     internal.htx.free_data|internal.htx.has_eom|internal.htx.nbblks|internal.htx.size|\
     internal.htx.used|internal.htx_blk.data|internal.htx_blk.hdrname|internal.htx_blk.hdrval|\
     internal.htx_blk.size|internal.htx_blk.start_line|internal.htx_blk.type|internal.strm.is_htx|\
     ipv4|ipv6|last_rule_file|last_rule_line|lat_ns_avg|lat_ns_tot|nbproc|\
     proc|rep_ssl_hello_type|req.body_param|req.hdrs|req.hdrs_bin|\
     req.ssl_alpn|req.ssl_ec_ext|req.ssl_hello_type|req.ssl_sni|\
     req.ssl_st_ext|req.ssl_ver|req_ssl_hello_type|req_ssl_sni|\
     req_ssl_ver|res.body|res.body_len|res.body_size|res.cache_hit|res.cache_name|res.comp|\
     res.comp_algo|res.hdrs|res.hdrs_bin|res.ssl_hello_type|sc0_bytes_in_rate|sc0_bytes_out_rate|\
     sc0_clr_gpc0|sc0_clr_gpc1|sc0_conn_cnt|sc0_conn_cur|sc0_conn_rate|sc0_get_gpc0|sc0_get_gpc1|\
     sc0_get_gpt0|sc0_gpc0_rate|sc0_gpc1_rate|sc0_http_err_cnt|sc0_http_err_rate|sc0_http_fail_cnt|\
     sc0_http_fail_rate|sc0_http_req_cnt|sc0_http_req_rate|sc0_inc_gpc0|sc0_inc_gpc1|sc0_kbytes_in|\
     sc0_kbytes_out|sc0_sess_cnt|sc0_sess_rate|sc0_tracked|sc0_trackers|sc1_bytes_in_rate|\
     sc1_bytes_out_rate|sc1_clr_gpc|sc1_clr_gpc0|sc1_clr_gpc1|sc1_conn_cnt|sc1_conn_cur|\
     sc1_conn_rate|sc1_get_gpc0|sc1_get_gpc1|sc1_get_gpt0|sc1_gpc0_rate|sc1_gpc1_rate|\
     sc1_http_err_cnt|sc1_http_err_rate|sc1_http_fail_cnt|sc1_http_fail_rate|sc1_http_req_cnt|\
     sc1_http_req_rate|sc1_inc_gpc0|sc1_inc_gpc1|sc1_kbytes_in|sc1_kbytes_out|sc1_sess_cnt|\
     sc1_sess_rate|sc1_tracked|sc1_trackers|sc2_bytes_in_rate|sc2_bytes_out_rate|sc2_clr_gpc0|\
     sc2_clr_gpc1|sc2_conn_cnt|sc2_conn_cur|sc2_conn_rate|sc2_get_gpc0|sc2_get_gpc1|sc2_get_gpt0|\
     sc2_gpc0_rate|sc2_gpc1_rate|sc2_http_err_cnt|sc2_http_err_rate|sc2_http_fail_cnt|\
     sc2_http_fail_rate|sc2_http_req_cnt|sc2_http_req_rate|sc2_inc_gpc0|sc2_inc_gpc1|sc2_kbytes_in|\
     sc2_kbytes_out|sc2_sess_cnt|sc2_sess_rate|sc2_tracked|sc2_trackers|sc_bytes_in_rate|\
     sc_bytes_out_rate|sc_clr_gpc|sc_clr_gpc0|sc_clr_gpc1|sc_conn_cnt|sc_conn_cur|sc_conn_rate|\
     sc_get_gpc|sc_get_gpc0|sc_get_gpc1|sc_get_gpt|sc_get_gpt0|sc_gpc0_rate|sc_gpc1_rate|\
     sc_gpc_rate|sc_http_err_cnt|sc_http_err_rate|sc_http_fail_cnt|sc_http_fail_rate|\
     sc_http_req_cnt|sc_http_req_rate|sc_inc_gpc|sc_inc_gpc0|sc_inc_gpc1|sc_kbytes_in|sc_kbytes_out|\
     sc_sess_cnt|sc_sess_rate|sc_tracked|sc_trackers|src_bytes_in_rate|src_bytes_out_rate|\
     src_clr_gpc|src_clr_gpc0|src_clr_gpc1|src_conn_cnt|src_conn_cur|src_conn_rate|src_get_gpc|\
     src_get_gpc0|src_get_gpc1|src_get_gpt|src_get_gpt0|src_gpc0_rate|src_gpc1_rate|src_gpc_rate|\
     src_http_err_cnt|src_http_err_rate|src_http_fail_cnt|src_http_fail_rate|src_http_req_cnt|\
     src_http_req_rate|src_inc_gpc|src_inc_gpc0|src_inc_gpc1|src_is_local|src_kbytes_in|\
     src_kbytes_out|src_sess_cnt|src_sess_rate|src_updt_conn_cnt|srv_conn_free|srv_iweight|\
     srv_sess_rate|srv_uweight|srv_weight|ssl_bc|ssl_bc_alg_keysize|ssl_bc_alpn|\
     ssl_bc_cipher|ssl_bc_client_random|ssl_bc_err|ssl_bc_err_str|ssl_bc_is_resumed|ssl_bc_npn|\
     ssl_bc_protocol|ssl_bc_server_random|ssl_bc_session_id|ssl_bc_session_key|ssl_bc_unique_id|\
     ssl_bc_use_keysize|ssl_c_ca_err|ssl_c_ca_err_depth|ssl_c_chain_der|ssl_c_der|ssl_c_err|\
     ssl_c_i_dn|ssl_c_key_alg|ssl_c_notafter|ssl_c_notbefore|ssl_c_s_dn|ssl_c_serial|ssl_c_sha1|\
     ssl_c_sig_alg|ssl_c_used|ssl_c_verify|ssl_c_version|ssl_f_der|ssl_f_i_dn|ssl_f_key_alg|\
     ssl_f_notafter|ssl_f_notbefore|ssl_f_s_dn|ssl_f_serial|ssl_f_sha1|ssl_f_sig_alg|ssl_f_version|\
     ssl_fc_alg_keysize|ssl_fc_alpn|ssl_fc_cipher|ssl_fc_cipherlist_bin|ssl_fc_cipherlist_hex|\
     ssl_fc_cipherlist_str|ssl_fc_cipherlist_xxh|ssl_fc_client_early_traffic_secret|\
     ssl_fc_client_handshake_traffic_secret|ssl_fc_client_random|ssl_fc_client_traffic_secret_0|\
     ssl_fc_early_exporter_secret|ssl_fc_ecformats_bin|ssl_fc_eclist_bin|ssl_fc_err|ssl_fc_err_str|\
     ssl_fc_exporter_secret|ssl_fc_extlist_bin|ssl_fc_has_crt|ssl_fc_has_early|ssl_fc_has_sni|\
     ssl_fc_is_resumed|ssl_fc_npn|ssl_fc_protocol|ssl_fc_protocol_hello_id|\
     ssl_fc_server_handshake_traffic_secret|ssl_fc_server_random|ssl_fc_server_traffic_secret_0|\
     ssl_fc_session_id|ssl_fc_session_key|ssl_fc_sni|ssl_fc_sni_end|ssl_fc_sni_reg|ssl_fc_unique_id|\
     ssl_fc_use_keysize|ssl_s_chain_der|ssl_s_der|ssl_s_i_dn|ssl_s_key_alg|ssl_s_notafter|\
     ssl_s_notbefore|ssl_s_s_dn|ssl_s_serial|ssl_s_sha1|ssl_s_sig_alg|ssl_s_version|stopping|\
     table_avl|table_cnt|thread|unique|url32|url_ip|url_port|urlp_val|uuid";

/// Converters.
pub(crate) const CONVERTERS: &str = "51d.single|add_item|aes_cbc_dec|aes_cbc_enc|aes_gcm_dec|aes_gcm_enc|be2dec|be2hex|bytes_to_hex|\
     capture-req|capture-res|certificate|cpl|crc32|crc32c|cut_crlf|da-csv-conv|date|debug|digest|\
     djb2|even|fix_is_valid|fix_tag_value|hex2i|hmac|host_only|htonl|http_date|in_table|ip.fp|json|\
     json_query|jwt_header_query|jwt_payload_query|jwt_verify|language|le2dec|ltime|ltrim|\
     map_beg_key|mqtt_field_value|mqtt_is_valid|ms_http_date|ms_ltime|ms_utime|neg|nbsrv|odd|param|\
     port_only|protobuf|reverse_dom|rfc7239_field|rfc7239_is_valid|rfc7239_n2nn|rfc7239_n2np|rtrim|\
     sdbm|secure_memcmp|set-var|sha1|sha2|srv_queue|str|strcmp_i|table_bytes_in_rate|table_conn_cnt|\
     table_conn_rate|table_expire|table_gpc0|table_http_req_cnt|table_http_req_rate|table_idle|\
     table_server_id|table_sess_cnt|table_trackers|ub64dec|ub64enc|ungrpc|unset-var|url_enc|\
     us_ltime|us_utime|utime|when|wt6|x509_v_err_str|xxh3|xxh32|xxh64";

/// Sections.
pub(crate) const SECTIONS: &str = "acme|crt-store|fcgi-app|log-forward|log-profile|program|ring";
