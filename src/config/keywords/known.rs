//! Names that HAProxy knows and oneport has not built yet, so that a message can say just that instead of
//! calling them unknown. Whoever builds one moves it from here into its table.
//!
//! One string a group, names separated by `|`: a table of slices would weigh four times as much.

use super::Sections;

/// Proxy and global keywords by the sections HAProxy allows them in.
pub(crate) const KEYWORDS: &[(Sections, &str)] = &[
    (
        Sections::GLOBAL,
        "51degrees-cache-size|51degrees-data-file|51degrees-property-name-list|\
     51degrees-property-separator|busy-polling|ca-base|close-spread-time|cluster-secret|\
     cpu-map|crt-base|default-path|deviceatlas-json-file|deviceatlas-log-level|\
     deviceatlas-properties-cookie|deviceatlas-separator|dns-accept-family|\
     expose-deprecated-directives|expose-experimental-directives|external-check|fd-hard-limit|\
     grace|h1-accept-payload-with-any-method|h1-case-adjust|h1-case-adjust-file|\
     h2-workaround-bogus-websocket-clients|hard-stop-after|httpclient.resolvers.id|\
     httpclient.resolvers.prefer|httpclient.ssl.ca-file|httpclient.ssl.verify|\
     issuers-chain-path|limited-quic|localpeer|log-send-hostname|lua-load|\
     lua-load-per-thread|lua-prepend-path|max-spread-checks|maxcompcpuusage|maxcomprate|maxconnrate|\
     maxpipes|maxsessrate|maxsslconn|maxsslrate|maxzlibmem|mworker-max-reloads|no-memory-trimming|\
     node|noepoll|noevports|nogetaddrinfo|nokqueue|nopoll|noreuseport|nosplice|numa-cpu-mapping|\
     pp2-never-send-local|presetenv|profiling.tasks|quiet|resetenv|server-state-base|\
     server-state-file|set-var|set-var-fmt|setcap|setenv|spread-checks|\
     ssl-default-bind-ciphers|ssl-default-bind-ciphersuites|ssl-default-bind-curves|\
     ssl-default-bind-options|ssl-default-server-ciphers|ssl-default-server-ciphersuites|\
     ssl-default-server-options|ssl-dh-param-file|ssl-engine|ssl-load-extra-del-ext|\
     ssl-load-extra-files|ssl-mode-async|ssl-propquery|ssl-provider|ssl-provider-path|\
     ssl-server-verify|ssl-skip-self-issued-ca|stats|strict-limits|thread-group|thread-groups|\
     thread-hard-limit|tune.buffers.limit|tune.buffers.reserve|tune.comp.maxlevel|\
     tune.disable-fast-forward|tune.disable-zero-copy-forwarding|tune.fail-alloc|\
     tune.fd.edge-triggered|tune.h2.be.max-concurrent-streams|tune.h2.fe.initial-window-size|\
     tune.h2.fe.max-concurrent-streams|tune.h2.header-table-size|tune.h2.initial-window-size|\
     tune.h2.max-concurrent-streams|tune.h2.max-frame-size|tune.http.cookielen|tune.http.logurilen|\
     tune.http.maxhdr|tune.idle-pool.shared|tune.idletimer|tune.listener.default-shards|\
     tune.listener.multi-queue|tune.lua.forced-yield|tune.lua.maxmem|tune.lua.service-timeout|\
     tune.lua.session-timeout|tune.lua.task-timeout|tune.max-checks-per-thread|tune.maxaccept|\
     tune.maxpollevents|tune.pattern.cache-size|tune.peers.max-updates-at-once|tune.pipesize|\
     tune.pool-high-fd-ratio|tune.pool-low-fd-ratio|tune.quic.frontend.conn-tx-buffers.limit|\
     tune.quic.frontend.max-idle-timeout|tune.quic.frontend.max-streams-bidi|\
     tune.quic.retry-threshold|tune.quic.socket-owner|tune.rcvbuf.client|tune.rcvbuf.server|\
     tune.recv_enough|tune.runqueue-depth|tune.sched.low-latency|tune.sndbuf.client|\
     tune.sndbuf.server|tune.ssl.cachesize|tune.ssl.capture-buffer-size|\
     tune.ssl.capture-cipherlist-size|tune.ssl.default-dh-param|tune.ssl.force-private-cache|\
     tune.ssl.hard-maxrecord|tune.ssl.keylog|tune.ssl.lifetime|tune.ssl.maxrecord|\
     tune.ssl.ssl-ctx-cache-size|tune.vars.check-max-size|tune.vars.global-max-size|\
     tune.vars.proc-max-size|tune.vars.reqres-max-size|tune.vars.sess-max-size|\
     tune.vars.txn-max-size|tune.zlib.memlevel|tune.zlib.windowsize|unix-bind|unsetenv|\
     warn-blocked-traffic-after|wurfl-cache-size|wurfl-data-file|wurfl-information-list|\
     wurfl-information-list-separator|zero-warning",
    ),
    (Sections::DEFAULTS, "http-after-response|http-request|http-response"),
    (Sections::DEFAULTS.or(Sections::BACKEND), "tcp-request content|tcp-request inspect-delay"),
    (
        Sections::DEFAULTS.or(Sections::FRONTEND).or(Sections::LISTEN),
        "clitcpka-cnt|clitcpka-idle|clitcpka-intvl|error-log-format|log-format|log-format-sd|log-steps|\
     max-session-srv-conns|monitor-net|option accept-invalid-http-request|\
     option contstats|option disable-h2-upgrade|option dontlog-normal|\
     option h1-case-adjust-bogus-client|option http-drop-request-trailers|option http-ignore-probes|\
     option http-use-proxy-header|option httpslog|option idle-close-on-response|\
     option log-separate-errors|option logasap|option socket-stats|option tcp-smart-accept|\
     quic-initial|rate-limit sessions|tcp-request connection|tcp-request session|unique-id-format|\
     unique-id-header",
    ),
    (
        Sections::DEFAULTS.or(Sections::FRONTEND).or(Sections::LISTEN).or(Sections::BACKEND),
        "bind-process|compression|email-alert|email-alert from|email-alert level|email-alert mailers|\
     email-alert myhostname|email-alert to|errorfiles|http-error|log-tag|option http-buffer-request|\
     option http-no-delay|option http-restrict-req-hdr-names|\
     option independent-streams|option nolinger|option originalto|option splice-auto|\
     option splice-request|option splice-response|stats|stats auth|stats enable|stats hide-version|\
     stats realm|stats refresh|stats scope|stats show-desc|stats show-legends|stats show-node|\
     stats uri|tcp-request",
    ),
    (
        Sections::DEFAULTS.or(Sections::LISTEN).or(Sections::BACKEND),
        "cookie|external-check command|external-check path|fullconn|\
     hash-preserve-affinity|hash-type|http-check|http-check comment|http-check connect|\
     http-check disable-on-404|http-check expect|http-check send|http-check send-state|\
     http-check set-var|http-check unset-var|http-send-name-header|\
     load-server-state-from-file|max-keep-alive-queue|option abortonclose|\
     option accept-invalid-http-response|option allbackups|option checkcache|option external-check|\
     option h1-case-adjust-bogus-server|option http-drop-response-trailers|\
     option http-pretend-keepalive|option httpchk|option ldap-check|option log-health-checks|\
     option mysql-check|option persist|option pgsql-check|option prefer-last-server|\
     option redis-check|option smtpchk|option spop-check|option ssl-hello-chk|option tcp-check|\
     option tcp-smart-connect|option transparent|persist rdp-cookie|retry-on|server-state-file-name|\
     source|srvtcpka-cnt|srvtcpka-idle|srvtcpka-intvl|tcp-check|tcp-check comment|tcp-check connect|\
     tcp-check expect|tcp-check send|tcp-check send-binary|tcp-check send-binary-lf|\
     tcp-check send-lf|tcp-check set-var|tcp-check unset-var|tcp-response|tcp-response content|\
     tcp-response inspect-delay|transparent",
    ),
    (
        Sections::FRONTEND.or(Sections::LISTEN),
        "capture|capture cookie|capture request header|capture response header|declare capture",
    ),
    (
        Sections::FRONTEND.or(Sections::LISTEN).or(Sections::BACKEND),
        "filter|guid|id|reqadd|reqallow|reqdel|reqdeny|reqirep|reqrep|rspadd|rspdel|\
     rspirep|rsprep|stats admin|stats http-request|stick-table",
    ),
    (
        Sections::LISTEN.or(Sections::BACKEND),
        "appsession|dispatch|force-persist|ignore-persist|server-template|stick|stick match|stick on|\
     stick store-request|stick store-response|use-fcgi-app|use-server",
    ),
];

/// Parameters of a `bind` line.
pub(crate) const BIND: &str = "accept-netscaler-cip|accept-proxy|allow-0rtt|alpn|ca-file|ca-ignore-err|ca-sign-file|\
     ca-sign-pass|ca-verify-file|ciphers|ciphersuites|crl-file|crt|crt-ignore-err|crt-list|curves|\
     defer-accept|ecdhe|expose-fd|force-sslv3|force-tlsv10|force-tlsv11|force-tlsv12|force-tlsv13|\
     generate-certificates|gid|group|id|interface|level|mss|namespace|nice|no-ca-names|no-sslv3|\
     no-tls-tickets|no-tlsv10|no-tlsv11|no-tlsv12|no-tlsv13|npn|prefer-client-ciphers|process|proto|\
     severity-output|shards|ssl|ssl-max-ver|ssl-min-ver|strict-sni|tcp-ut|tfo|thread|\
     tls-ticket-keys|uid|user|verify";

/// Parameters of a `server` line.
pub(crate) const SERVER: &str = "addr|agent-addr|agent-check|agent-inter|agent-port|agent-send|allow-0rtt|alpn|ca-file|\
     check-alpn|check-proto|check-send-proxy|check-sni|check-ssl|check-via-socks4|ciphers|\
     ciphersuites|cookie|crl-file|crt|error-limit|force-sslv3|force-tlsv10|force-tlsv11|\
     force-tlsv12|force-tlsv13|id|init-addr|log-proto|max-reuse|maxqueue|minconn|namespace|\
     no-agent-check|no-check-send-proxy|no-check-ssl|no-send-proxy|no-send-proxy-v2|\
     no-send-proxy-v2-ssl|no-send-proxy-v2-ssl-cn|no-ssl|no-ssl-reuse|no-sslv3|no-tfo|\
     no-tls-tickets|no-tlsv10|no-tlsv11|no-tlsv12|no-tlsv13|non-stick|npn|observe|on-error|\
     on-marked-down|on-marked-up|pool-low-conn|pool-max-conn|pool-purge-delay|proto|\
     proxy-v2-options|redir|resolve-net|resolve-opts|resolve-prefer|resolvers|send-proxy|\
     send-proxy-v2|send-proxy-v2-ssl|send-proxy-v2-ssl-cn|slowstart|sni|socks4|source|ssl|\
     ssl-max-ver|ssl-min-ver|ssl-reuse|stick|tcp-ut|tfo|tls-tickets|track|usesrc|verify|verifyhost|\
     ws";

/// Sample fetches and the ACL spellings of them.
pub(crate) const FETCHES: &str = "base32|bc_dst|bc_dst_port|bc_err|bc_err_str|bc_http_major|bc_src|bc_src_port|be_conn_free|\
     be_server_timeout|be_sess_rate|be_tunnel_timeout|bin|capture.res.ver|cpu_calls|cpu_ns_avg|\
     cpu_ns_tot|cur_server_timeout|cur_tunnel_timeout|date_us|distcc_body|distcc_param|dst_conn|\
     dst_is_local|fc_dst_is_local|fc_err|fc_err_str|fc_fackets|fc_http_major|fc_lost|\
     fc_pp_authority|fc_pp_unique_id|fc_rcvd_proxy|fc_reordering|fc_retrans|fc_rtt|fc_rttvar|\
     fc_sacked|fc_src_is_local|fc_unacked|fcgi.docroot|fcgi.index|fe_client_timeout|fe_req_rate|\
     fe_sess_rate|hostname|http_auth_bearer|http_auth_group|http_first_req|internal.htx.data|\
     internal.htx.free|internal.htx.free_data|internal.htx.has_eom|internal.htx.nbblks|\
     internal.htx.size|internal.htx.used|internal.htx_blk.data|internal.htx_blk.hdrname|\
     internal.htx_blk.hdrval|internal.htx_blk.size|internal.htx_blk.start_line|\
     internal.htx_blk.type|internal.strm.is_htx|ipv4|ipv6|last_rule_file|last_rule_line|\
     lat_ns_avg|lat_ns_tot|nbproc|prio_class|prio_offset|proc|rdp_cookie|rdp_cookie_cnt|\
     rep_ssl_hello_type|req.body_param|req.hdrs|req.hdrs_bin|req.rdp_cookie|req.rdp_cookie_cnt|\
     req.ssl_alpn|req.ssl_ec_ext|req.ssl_hello_type|req.ssl_sni|req.ssl_st_ext|req.ssl_ver|\
     req_rdp_cookie|req_rdp_cookie_cnt|req_ssl_hello_type|req_ssl_sni|req_ssl_ver|res.body|\
     res.body_len|res.body_size|res.cache_hit|res.cache_name|res.comp|res.comp_algo|res.hdrs|\
     res.hdrs_bin|res.len|res.payload|res.payload_lv|res.ssl_hello_type|sc0_bytes_in_rate|\
     sc0_bytes_out_rate|sc0_clr_gpc0|sc0_clr_gpc1|sc0_conn_cnt|sc0_conn_cur|sc0_conn_rate|\
     sc0_get_gpc0|sc0_get_gpc1|sc0_get_gpt0|sc0_gpc0_rate|sc0_gpc1_rate|sc0_http_err_cnt|\
     sc0_http_err_rate|sc0_http_fail_cnt|sc0_http_fail_rate|sc0_http_req_cnt|sc0_http_req_rate|\
     sc0_inc_gpc0|sc0_inc_gpc1|sc0_kbytes_in|sc0_kbytes_out|sc0_sess_cnt|sc0_sess_rate|\
     sc0_tracked|sc0_trackers|sc1_bytes_in_rate|sc1_bytes_out_rate|sc1_clr_gpc|sc1_clr_gpc0|\
     sc1_clr_gpc1|sc1_conn_cnt|sc1_conn_cur|sc1_conn_rate|sc1_get_gpc0|sc1_get_gpc1|sc1_get_gpt0|\
     sc1_gpc0_rate|sc1_gpc1_rate|sc1_http_err_cnt|sc1_http_err_rate|sc1_http_fail_cnt|\
     sc1_http_fail_rate|sc1_http_req_cnt|sc1_http_req_rate|sc1_inc_gpc0|sc1_inc_gpc1|\
     sc1_kbytes_in|sc1_kbytes_out|sc1_sess_cnt|sc1_sess_rate|sc1_tracked|sc1_trackers|\
     sc2_bytes_in_rate|sc2_bytes_out_rate|sc2_clr_gpc0|sc2_clr_gpc1|sc2_conn_cnt|sc2_conn_cur|\
     sc2_conn_rate|sc2_get_gpc0|sc2_get_gpc1|sc2_get_gpt0|sc2_gpc0_rate|sc2_gpc1_rate|\
     sc2_http_err_cnt|sc2_http_err_rate|sc2_http_fail_cnt|sc2_http_fail_rate|sc2_http_req_cnt|\
     sc2_http_req_rate|sc2_inc_gpc0|sc2_inc_gpc1|sc2_kbytes_in|sc2_kbytes_out|sc2_sess_cnt|\
     sc2_sess_rate|sc2_tracked|sc2_trackers|sc_bytes_in_rate|sc_bytes_out_rate|sc_clr_gpc|\
     sc_clr_gpc0|sc_clr_gpc1|sc_conn_cnt|sc_conn_cur|sc_conn_rate|sc_get_gpc|sc_get_gpc0|\
     sc_get_gpc1|sc_get_gpt|sc_get_gpt0|sc_gpc0_rate|sc_gpc1_rate|sc_gpc_rate|sc_http_err_cnt|\
     sc_http_err_rate|sc_http_fail_cnt|sc_http_fail_rate|sc_http_req_cnt|sc_http_req_rate|\
     sc_inc_gpc|sc_inc_gpc0|sc_inc_gpc1|sc_kbytes_in|sc_kbytes_out|sc_sess_cnt|sc_sess_rate|\
     sc_tracked|sc_trackers|src_bytes_in_rate|src_bytes_out_rate|src_clr_gpc|src_clr_gpc0|\
     src_clr_gpc1|src_conn_cnt|src_conn_cur|src_conn_rate|src_get_gpc|src_get_gpc0|src_get_gpc1|\
     src_get_gpt|src_get_gpt0|src_gpc0_rate|src_gpc1_rate|src_gpc_rate|src_http_err_cnt|\
     src_http_err_rate|src_http_fail_cnt|src_http_fail_rate|src_http_req_cnt|src_http_req_rate|\
     src_inc_gpc|src_inc_gpc0|src_inc_gpc1|src_is_local|src_kbytes_in|src_kbytes_out|\
     src_sess_cnt|src_sess_rate|src_updt_conn_cnt|srv_conn_free|srv_iweight|srv_queue|\
     srv_sess_rate|srv_uweight|srv_weight|ssl_bc|ssl_bc_alg_keysize|ssl_bc_alpn|ssl_bc_cipher|\
     ssl_bc_client_random|ssl_bc_err|ssl_bc_err_str|ssl_bc_is_resumed|ssl_bc_npn|ssl_bc_protocol|\
     ssl_bc_server_random|ssl_bc_session_id|ssl_bc_session_key|ssl_bc_unique_id|\
     ssl_bc_use_keysize|ssl_c_ca_err|ssl_c_ca_err_depth|ssl_c_chain_der|ssl_c_der|ssl_c_err|\
     ssl_c_i_dn|ssl_c_key_alg|ssl_c_notafter|ssl_c_notbefore|ssl_c_s_dn|ssl_c_serial|ssl_c_sha1|\
     ssl_c_sig_alg|ssl_c_used|ssl_c_verify|ssl_c_version|ssl_f_der|ssl_f_i_dn|ssl_f_key_alg|\
     ssl_f_notafter|ssl_f_notbefore|ssl_f_s_dn|ssl_f_serial|ssl_f_sha1|ssl_f_sig_alg|\
     ssl_f_version|ssl_fc|ssl_fc_alg_keysize|ssl_fc_alpn|ssl_fc_cipher|ssl_fc_cipherlist_bin|\
     ssl_fc_cipherlist_hex|ssl_fc_cipherlist_str|ssl_fc_cipherlist_xxh|\
     ssl_fc_client_early_traffic_secret|ssl_fc_client_handshake_traffic_secret|\
     ssl_fc_client_random|ssl_fc_client_traffic_secret_0|ssl_fc_early_exporter_secret|\
     ssl_fc_ecformats_bin|ssl_fc_eclist_bin|ssl_fc_err|ssl_fc_err_str|ssl_fc_exporter_secret|\
     ssl_fc_extlist_bin|ssl_fc_has_crt|ssl_fc_has_early|ssl_fc_has_sni|ssl_fc_is_resumed|\
     ssl_fc_npn|ssl_fc_protocol|ssl_fc_protocol_hello_id|ssl_fc_server_handshake_traffic_secret|\
     ssl_fc_server_random|ssl_fc_server_traffic_secret_0|ssl_fc_session_id|ssl_fc_session_key|\
     ssl_fc_sni|ssl_fc_sni_end|ssl_fc_sni_reg|ssl_fc_unique_id|ssl_fc_use_keysize|\
     ssl_s_chain_der|ssl_s_der|ssl_s_i_dn|ssl_s_key_alg|ssl_s_notafter|ssl_s_notbefore|\
     ssl_s_s_dn|ssl_s_serial|ssl_s_sha1|ssl_s_sig_alg|ssl_s_version|stopping|table_avl|table_cnt|\
     thread|unique|url32|url_ip|url_port|urlp_val|uuid";

/// Converters.
pub(crate) const CONVERTERS: &str = "51d.single|add_item|aes_cbc_dec|aes_cbc_enc|aes_gcm_dec|aes_gcm_enc|be2dec|be2hex|\
     bytes_to_hex|capture-req|capture-res|certificate|cpl|crc32|crc32c|cut_crlf|da-csv-conv|date|debug|\
     digest|djb2|even|fix_is_valid|fix_tag_value|hex2i|hmac|host_only|htonl|http_date|in_table|ip.fp|\
     json|json_query|jwt_header_query|jwt_payload_query|jwt_verify|language|le2dec|ltime|ltrim|\
     map_beg_key|mqtt_field_value|mqtt_is_valid|ms_http_date|ms_ltime|ms_utime|neg|nbsrv|odd|param|\
     port_only|protobuf|reverse_dom|rfc7239_field|rfc7239_is_valid|rfc7239_n2nn|rfc7239_n2np|rtrim|sdbm|\
     secure_memcmp|set-var|sha1|sha2|srv_queue|str|strcmp_i|table_bytes_in_rate|table_conn_cnt|\
     table_conn_rate|table_expire|table_gpc0|table_http_req_cnt|table_http_req_rate|table_idle|\
     table_server_id|table_sess_cnt|table_trackers|ub64dec|ub64enc|ungrpc|unset-var|url_enc|us_ltime|\
     us_utime|utime|when|wt6|x509_v_err_str|xxh3|xxh32|xxh64";

/// Predefined ACLs (configuration §7.4).
pub(crate) const ACLS: &str = "RDP_COOKIE";

/// Sections.
pub(crate) const SECTIONS: &str = "acme|cache|crt-store|fcgi-app|http-errors|log-forward|log-profile|mailers|peers|program|\
     resolvers|ring|traces|userlist";
