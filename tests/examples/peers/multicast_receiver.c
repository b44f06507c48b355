/* A multicast receiver as in any textbook: bind to the port, join the group on 127.0.0.1, print what comes.
   usage: multicast_receiver GROUP PORT COUNT. The other half is multicast_sender.c. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void die(const char *what) {
    perror(what);
    exit(1);
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: %s GROUP PORT COUNT\n", argv[0]);
        return 2;
    }
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0) die("socket");
    int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) die("SO_REUSEADDR");

    struct sockaddr_in local;
    memset(&local, 0, sizeof local);
    local.sin_family = AF_INET;
    local.sin_addr.s_addr = htonl(INADDR_ANY);
    local.sin_port = htons((unsigned short)atoi(argv[2]));
    if (bind(fd, (struct sockaddr *)&local, sizeof local) < 0) die("bind");

    struct ip_mreq request;
    request.imr_multiaddr.s_addr = inet_addr(argv[1]);
    request.imr_interface.s_addr = inet_addr("127.0.0.1");
    if (setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request) < 0) die("IP_ADD_MEMBERSHIP");
    printf("ready\n");
    fflush(stdout);

    for (int i = 0; i < atoi(argv[3]); i++) {
        char text[65536];
        struct sockaddr_in sender;
        socklen_t length = sizeof sender;
        ssize_t n = recvfrom(fd, text, sizeof text - 1, 0, (struct sockaddr *)&sender, &length);
        if (n < 0) die("recvfrom");
        text[n] = '\0';
        printf("%s: %s\n", inet_ntoa(sender.sin_addr), text);
        fflush(stdout);
    }
    return 0;
}
