/* Multicast as in any textbook, IPv4 and IPv6: the interface is left to the routes, no option is set that need not be.
   usage: multicast listen GROUP PORT [SOURCE]     prints "ready", then each text and its sender, until the text is "end"
          multicast send GROUP PORT FROM TEXT...   FROM is an own address, or "-" for whichever it is */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void die(const char *what) {
    perror(what);
    exit(1);
}

static struct addrinfo *address(const char *host, const char *port, int flags) {
    struct addrinfo hints, *found;
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_DGRAM;
    hints.ai_flags = AI_NUMERICHOST | flags;
    if (getaddrinfo(host, port, &hints, &found) != 0) {
        fprintf(stderr, "%s is no address\n", host);
        exit(2);
    }
    return found;
}

static void join_any(int fd, const struct addrinfo *group) {
    if (group->ai_family == AF_INET) {
        struct ip_mreq request;
        request.imr_multiaddr = ((struct sockaddr_in *)group->ai_addr)->sin_addr;
        request.imr_interface.s_addr = htonl(INADDR_ANY);
        if (setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request) < 0) die("IP_ADD_MEMBERSHIP");
    } else {
        struct ipv6_mreq request;
        request.ipv6mr_multiaddr = ((struct sockaddr_in6 *)group->ai_addr)->sin6_addr;
        request.ipv6mr_interface = 0;
        if (setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &request, sizeof request) < 0) die("IPV6_JOIN_GROUP");
    }
}

static void join_source(int fd, const struct addrinfo *group, const struct addrinfo *source) {
    if (group->ai_family == AF_INET) {
        struct ip_mreq_source request;
        request.imr_multiaddr = ((struct sockaddr_in *)group->ai_addr)->sin_addr;
        request.imr_sourceaddr = ((struct sockaddr_in *)source->ai_addr)->sin_addr;
        request.imr_interface.s_addr = htonl(INADDR_ANY);
        if (setsockopt(fd, IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, &request, sizeof request) < 0)
            die("IP_ADD_SOURCE_MEMBERSHIP");
    } else {
        struct group_source_req request;
        memset(&request, 0, sizeof request);
        memcpy(&request.gsr_group, group->ai_addr, group->ai_addrlen);
        memcpy(&request.gsr_source, source->ai_addr, source->ai_addrlen);
        if (setsockopt(fd, IPPROTO_IPV6, MCAST_JOIN_SOURCE_GROUP, &request, sizeof request) < 0)
            die("MCAST_JOIN_SOURCE_GROUP");
    }
}

static int listen_to(int argc, char **argv) {
    struct addrinfo *group = address(argv[2], argv[3], 0);
    struct addrinfo *any = address(group->ai_family == AF_INET ? "0.0.0.0" : "::", argv[3], AI_PASSIVE);
    int fd = socket(group->ai_family, SOCK_DGRAM, 0);
    if (fd < 0) die("socket");
    if (bind(fd, any->ai_addr, any->ai_addrlen) < 0) die("bind");
    if (argc > 4) join_source(fd, group, address(argv[4], NULL, 0));
    else join_any(fd, group);
    printf("ready\n");
    for (;;) {
        char text[65536], from[NI_MAXHOST];
        struct sockaddr_storage peer;
        socklen_t length = sizeof peer;
        fflush(stdout);
        ssize_t count = recvfrom(fd, text, sizeof text - 1, 0, (struct sockaddr *)&peer, &length);
        if (count < 0) die("recvfrom");
        text[count] = 0;
        getnameinfo((struct sockaddr *)&peer, length, from, sizeof from, NULL, 0, NI_NUMERICHOST);
        printf("%s from %s\n", text, from);
        if (strcmp(text, "end") == 0) return 0;
    }
}

static int send_to(int argc, char **argv) {
    struct addrinfo *group = address(argv[2], argv[3], 0);
    int fd = socket(group->ai_family, SOCK_DGRAM, 0);
    if (fd < 0) die("socket");
    if (strcmp(argv[4], "-") != 0) {
        struct addrinfo *from = address(argv[4], "0", 0);
        if (bind(fd, from->ai_addr, from->ai_addrlen) < 0) die("bind");
    }
    for (int i = 5; i < argc; i++)
        if (sendto(fd, argv[i], strlen(argv[i]), 0, group->ai_addr, group->ai_addrlen) < 0) die("sendto");
    return 0;
}

int main(int argc, char **argv) {
    if (argc >= 4 && strcmp(argv[1], "listen") == 0) return listen_to(argc, argv);
    if (argc >= 6 && strcmp(argv[1], "send") == 0) return send_to(argc, argv);
    fprintf(stderr, "usage: %s listen GROUP PORT [SOURCE] | send GROUP PORT FROM TEXT...\n", argv[0]);
    return 2;
}
