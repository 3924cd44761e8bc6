#include "hub.h"
#include <string.h>
#include <vqpipe/vqpipe.h>

CURL *hub_request(const struct hub *hub, const char *url, struct curl_slist **headers)
{
    CURL *easy = curl_easy_init();
    int secure = strncmp(hub->endpoint, "https", 5) == 0;
    *headers = NULL;
    if (!easy)
        return NULL;
    if (hub->token[0]) {
        char line[600];
        snprintf(line, sizeof line, "Authorization: Bearer %s", hub->token);
        if (!(*headers = curl_slist_append(NULL, line))) {
            curl_easy_cleanup(easy);
            return NULL;
        }
    }
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, *headers); /* libcurl keeps it from other hosts */
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "vqpipe/" VQPIPE_VERSION);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
#else
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS,
                     (long)(secure ? CURLPROTO_HTTPS : CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, 8L);
    curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, hub->timeout);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, hub->timeout);
    if (hub->ca)
        curl_easy_setopt(easy, CURLOPT_CAINFO, hub->ca);
    return easy;
}

vqp_status hub_refused(const struct hub *hub, const char *what, CURLcode code, long status, struct vqp_error *err)
{
    if (status == 401 || status == 403)
        return vqp_fail(err, VQP_E_IO, "%.300s: %s answers %ld; %s", what, hub->endpoint, status,
                        hub->token[0]
                            ? "the token gives no access: accept the model's terms on its page, or use another token"
                            : "check the name, or set HF_TOKEN to an access token if the model is private or gated");
    if (status == 404)
        return vqp_fail(err, VQP_E_IO, "%.300s: not on %s; check owner, name and --revision", what, hub->endpoint);
    if (status >= 400)
        return vqp_fail(err, VQP_E_IO, "%.300s: %s answers %ld; try again later", what, hub->endpoint, status);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return vqp_fail(err, VQP_E_IO, "%.300s: %s sent nothing for %ld s; try again, what has arrived is kept", what,
                        hub->endpoint, hub->timeout);
    return vqp_fail(err, VQP_E_IO, "%.300s: %s: %s; check the network, HF_ENDPOINT and the proxy, then try again", what,
                    hub->endpoint, curl_easy_strerror(code));
}

int hub_transient(CURLcode code, long status)
{
    if (status >= 400)
        return status == 408 || status == 429 || status >= 500;
    switch (code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_RANGE_ERROR: return 1;
    default: return 0;
    }
}
