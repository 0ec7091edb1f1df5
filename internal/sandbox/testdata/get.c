/* Asks hosts for a page over http, and tries names twice that fail for now. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *get(const char *host, char *page, size_t size) {
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
	int failed = getaddrinfo(host, "80", &hints, &found);
	if (failed == EAI_AGAIN)
		failed = getaddrinfo(host, "80", &hints, &found);
	if (failed)
		return failed == EAI_AGAIN || failed == EAI_NONAME ? "no such host" : gai_strerror(failed);
	int s = socket(found->ai_family, found->ai_socktype, 0);
	if (connect(s, found->ai_addr, found->ai_addrlen))
		return strerror(errno);
	dprintf(s, "GET /c HTTP/1.0\r\nHost: %s\r\n\r\n", host);
	size_t length = 0;
	for (ssize_t n; length < size - 1 && (n = read(s, page + length, size - 1 - length)) > 0;)
		length += n;
	page[length] = 0;
	close(s);
	char *body = strstr(page, "\r\n\r\n");
	return body ? body + 4 : "no answer";
}

int main(int argc, char **argv) {
	static char page[4096];
	for (int i = 1; i < argc; i++)
		puts(get(argv[i], page, sizeof page));
	return 0;
}
