/* A multicast sender as in any textbook: no option but the interface, 127.0.0.1, so that nothing leaves this machine.
   usage: multicast_sender GROUP PORT TEXT COUNT. The other half is multicast_receiver.c. */
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
    if (argc != 5) {
        fprintf(stderr, "usage: %s GROUP PORT TEXT COUNT\n", argv[0]);
        return 2;
    }
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0) die("socket");
    struct in_addr interface;
    interface.s_addr = inet_addr("127.0.0.1");
    if (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &interface, sizeof interface) < 0) die("IP_MULTICAST_IF");

    struct sockaddr_in group;
    memset(&group, 0, sizeof group);
    group.sin_family = AF_INET;
    group.sin_addr.s_addr = inet_addr(argv[1]);
    group.sin_port = htons((unsigned short)atoi(argv[2]));
    for (int i = 0; i < atoi(argv[4]); i++) {
        if (sendto(fd, argv[3], strlen(argv[3]), 0, (struct sockaddr *)&group, sizeof group) < 0) die("sendto");
    }
    return 0;
}
