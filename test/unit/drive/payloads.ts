/**
 * First bytes of connections as real programs send them, and of protocols that are not recognised. Longer segments are cut
 * off where nothing more is read.
 */
import type { Side } from "../../../src/protocols/seen.ts";
import type { ProtocolName } from "../../../src/protocols/table.ts";

export interface Sample {
  /** `null`: no protocol of the table. */
  name: ProtocolName | null;
  title: string;
  bytes: Uint8Array;
  /** Of the whole segment. */
  length: number;
  from: Side;
  start: boolean;
  /** The first line that the other end has sent. */
  greeting: string;
}

const hex = (digits: string): Uint8Array => Uint8Array.from(Buffer.from(digits, "hex"));
const text = (written: string): Uint8Array => Uint8Array.from(Buffer.from(written, "latin1"));

function of(
  name: ProtocolName | null,
  title: string,
  from: Side,
  bytes: Uint8Array,
  rest: Partial<Sample> = {},
): Sample {
  return { name, title, from, bytes, length: bytes.length, start: true, greeting: "", ...rest };
}

/** At least two of each protocol. */
export const tcpSamples: readonly Sample[] = [
  of(
    "tls",
    "curl: ClientHello",
    "client",
    hex(
      "1603010200010001fc0303dc66e4c9e9ab153e9b7980c36a3ae14454d0a7318129546297077220596b2ab320116442f0" +
        "5ff63bcf85b7be742400d982772d465d1a5e3751c580b4ea6a53ea46003e130213031301c02cc030009fcca9cca8ccaa" +
        "c02bc02f009ec024c028006bc023c0270067c00ac0140039c009c0130033009d009c003d003c0035002f00ff01000175" +
        "00000015001300001073686f702e6578616d706c652e636f6d000b000403000102000a00160014001d0017001e001900" +
        "18010001010102010301040010000e000c02683208687474702f312e31001600000017000000310000000d002a002804" +
        "0305030603080708080809080a080b080408050806040105010601030303010302040205020602002b00090803040303" +
        "03020301002d00020101003300260024001d00201e5e663c119a64e1397628695d690822909239fe0d9aa5f7f892cc53" +
        "2416c361001500ad00000000000000000000000000000000000000000000000000000000000000000000000000000000" +
        "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000" +
        "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000" +
        "00000000000000000000000000000000000000000000000000000000000000000000000000",
    ),
  ),
  of(
    "tls",
    "OpenSSL: ServerHello of TLS 1.3",
    "server",
    hex(
      "160303007a02000076030356b485b2038e1a7d09e468c0bd4cd9303c52ed5148e73092f04c11a035d33a5920116442f0" +
        "5ff63bcf85b7be742400d982772d465d1a5e3751c580b4ea6a53ea46130200002e002b0002030400330024001d00206e" +
        "7d7757ce3929192cb31fbcc5146fb1b2a258bb25554294d62afed72af4447414030300010117030300268085fae62f20" +
        "2c3ef1c0457280828b6dce477e97d1d7de5da64691ba38ca19b876f5cbbbc63e170303031b1d9c7b4d36b06f76eda315" +
        "6a17a7171f852c29",
    ),
    { length: 1336 },
  ),
  of(
    "tls",
    "OpenSSL: ServerHello of TLS 1.2",
    "server",
    hex(
      "160303006c0200006803034ca86939fdd780db2d1cd7d48c99902e021124cad569cb07baf82706dc271e3d20c963d792" +
        "fa649a4df23027033b579f12645577ecead2c8712731d8513a6ecce1c02f000020ff01000100000b0004030001020010" +
        "000b000908687474702f312e310017000016030303070b0003030003000002fd308202f9308201e1a003020102021433" +
        "88235bf9e134bfbaa4379c2871632eb94137bc300d06092a864886f70d01010b0500300c310a300806035504030c0178" +
        "301e170d32363131",
    ),
    { length: 1207 },
  ),
  of("tls", "OpenSSL: handshake failure", "server", hex("15030300020228")),
  of(
    "tls",
    "application data",
    "client",
    hex(
      "17030300459a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a9a",
    ),
    { length: 74, start: false },
  ),
  of(
    "http",
    "curl: GET",
    "client",
    text(
      "GET /index.html HTTP/1.1\r\nHost: 127.0.0.1:43655\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n",
    ),
  ),
  of(
    "http",
    "curl: CONNECT",
    "client",
    text(
      "CONNECT shop.example.com:443 HTTP/1.1\r\nHost: shop.example.com:443\r\nUser-Agent: curl/7.88.1\r\nProxy-Connection: Keep-Alive\r\n\r\n",
    ),
  ),
  of(
    "http",
    "nginx: 200",
    "server",
    text("HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sun, 29"),
    { length: 850 },
  ),
  of(
    "http",
    "Docker: POST",
    "client",
    text("POST /v1.41/containers/create HTTP/1.1\r\nHost: doc"),
    { length: 412, start: false },
  ),
  of(
    "http2",
    "curl: preface",
    "client",
    hex(
      "505249202a20485454502f322e300d0a0d0a534d0d0a0d0a000012040000000000000300000064000402000000000200" +
        "00000000000408000000000001ff0001",
    ),
  ),
  of(
    "http2",
    "grpc-js: preface",
    "client",
    hex("505249202a20485454502f322e300d0a0d0a534d0d0a0d0a00000604000000000000040000ffff"),
  ),
  of("http2", "nghttpd: SETTINGS", "server", hex("00000c04000000000000030000006400040000ffff")),
  of(
    "http2",
    "nginx: SETTINGS and WINDOW_UPDATE",
    "server",
    hex("000012040000000000000300000080000400010000000500ffffff0000040800000000007fff0000"),
  ),
  of("kafka", "kafkajs: ApiVersions", "client", hex("000000110012000200000000000762696c6c696e67")),
  of(
    "kafka",
    "librdkafka: Metadata",
    "client",
    hex("000000200003000400000002000772646b61666b6100000001000673616c657331000000"),
    { start: false },
  ),
  of(
    "mongodb",
    "Node: isMaster in OP_QUERY",
    "client",
    hex(
      "610100000100000000000000d40700000000000061646d696e2e24636d640000000000ffffffff3a0100001069736d61" +
        "737465720001000000026261636b7072657373757265000200000032000868656c6c6f4f6b000103636c69656e7400e3",
    ),
    { length: 353 },
  ),
  of(
    "mongodb",
    "pymongo: ping in OP_MSG",
    "client",
    hex("5c0000005172dc4b00000000dd0700000000000000470000001070696e670001000000036c73696400"),
    { length: 92, start: false },
  ),
  of(
    "mongodb",
    "mongod: answer in OP_MSG",
    "server",
    hex("260000000b0000005172dc4bdd070000000000000011000000016f6b00000000000000f03f00"),
    { start: false },
  ),
  of(
    "postgres",
    "node-postgres: startup",
    "client",
    hex(
      "000000350003000075736572006170700064617461626173650073686f7000636c69656e745f656e636f64696e670055" +
        "5446380000",
    ),
  ),
  of("postgres", "psql: request for TLS", "client", hex("0000000804d2162f")),
  of(
    "postgres",
    "server: authentication by SCRAM",
    "server",
    hex("52000000170000000a534352414d2d5348412d3235360000"),
  ),
  of("postgres", "psql: query", "client", hex("510000000e53454c45435420313b00"), { start: false }),
  of(
    "postgres",
    "pgx: prepared statement",
    "client",
    hex(
      "500000002a0053454c4543542069642046524f4d207573657273205748455245206e616d65203d202431000000530000" +
        "0004",
    ),
    { start: false },
  ),
  of(
    "postgres",
    "server: command complete",
    "server",
    hex("430000000d53454c4543542031005a0000000549"),
    { start: false },
  ),
  of(
    "mysql",
    "MariaDB: greeting",
    "server",
    hex(
      "5b0000000a352e352e352d31302e31312e362d4d6172696144422d3100080000002d5d6c3a7b406f5f00fef7e00200ff" +
        "81150000000000001d0000007029465f6c5f5b6d2a5b7e7a006d7973716c5f6e61746976655f70617373776f726400",
    ),
  ),
  of(
    "mysql",
    "MySQL 8: greeting",
    "server",
    hex(
      "4a0000000a382e302e333600080000003a23605c2a2f574f00ffffff0200ffdf15000000000000000000001c2f4c1b5e" +
        "4c64104c3e36760063616368696e675f736861325f70617373776f726400",
    ),
  ),
  of(
    "mysql",
    "mysql2: login",
    "client",
    hex(
      "87000001cef3ba0800000000e00000000000000000000000000000000000000008000000726f6f740014b1d5cfa11833" +
        "359ec2ec109487fbea6f2104455673686f70006d7973716c5f6e61746976655f70617373776f726400310c5f636c6965" +
        "6e745f6e616d650c4e6f64652d4d7953514c2d320f5f636c69656e745f76657273696f6e06332e32342e36",
    ),
  ),
  of(
    "mysql",
    "mysql2: request for TLS",
    "client",
    hex("20000001cefbba0800000000e00000000000000000000000000000000000000000000000"),
  ),
  of("mysql", "mysql2: query", "client", hex("090000000353454c4543542031"), { start: false }),
  of(
    "amqp",
    "RabbitMQ: Connection.Start",
    "server",
    hex("010000000001f4000a000a0009000001cf0c6361706162696c6974696573"),
    { length: 508 },
  ),
  of("amqp", "amqplib: header", "client", hex("414d515000000901")),
  of("amqp", "Qpid: header of SASL", "client", hex("414d515003010000")),
  of("amqp", "Basic.Publish", "client", hex("01000100000012003c002800000008696e766f6963657300ce"), {
    length: 90,
    start: false,
  }),
  of(
    "redis",
    "node-redis: HELLO",
    "client",
    text(
      "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n*4\r\n$6\r\nCLIENT\r\n$7\r\nSETINFO\r\n$7\r\nLIB-VER\r\n$5\r\n6.3.1\r\n*4\r\n$6\r\nCLIENT\r\n$7\r\nSETINFO\r\n$8\r\nLIB-NAME\r\n$10\r\nnode-redis\r\n*5\r\n$6\r\nCLIENT\r\n$19\r\nMAINT_NOTIFICATIONS\r\n$2\r\nON\r\n$20\r\nmoving-endpoint-type\r\n$11\r\nexternal-ip\r\n",
    ),
  ),
  of("redis", "redis-cli: COMMAND DOCS", "client", text("*2\r\n$7\r\nCOMMAND\r\n$4\r\nDOCS\r\n")),
  of(
    "redis",
    "Redis: answer to HELLO",
    "server",
    text("%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n"),
    { length: 150 },
  ),
  of(
    "memcached",
    "memjs: get",
    "client",
    hex("80000005000000000000000500000001000000000000000068656c6c6f"),
  ),
  of(
    "memcached",
    "memjs: set",
    "client",
    hex("800100050800000000000012000000010000000000000000000000000000000568656c6c6f776f726c64"),
  ),
  of(
    "memcached",
    "libmemcached: set in text",
    "client",
    text("set session:17 0 3600 5\r\nhello\r\n"),
  ),
  of(
    "memcached",
    "memcached: value in text",
    "server",
    text("VALUE session:17 0 5\r\nhello\r\nEND\r\n"),
    { start: false },
  ),
  of("memcached", "memcached: nothing found", "server", text("END\r\n"), {
    greeting: "get session:17",
  }),
  of("mqtt", "MQTT.js: CONNECT", "client", hex("101000044d5154540402003c00046c616d70")),
  of(
    "mqtt",
    "MQTT.js: CONNECT of version 5",
    "client",
    hex("101100044d5154540502003c0000046c616d70"),
  ),
  of(
    "mqtt",
    "curl: CONNECT",
    "client",
    hex("101800044d5154540402003c000c6375726c6663663562626434"),
  ),
  of(
    "nats",
    "nats.js: CONNECT",
    "client",
    text(
      'CONNECT {"protocol":1,"version":"2.29.3","lang":"nats.js","verbose":false,"pedantic":false,"headers":true,"no_responders":true}\r\nPING\r\n',
    ),
  ),
  of(
    "nats",
    "nats-server: INFO",
    "server",
    text('INFO {"server_id":"NDXQ","server_name":"NDXQ","version":"2.10.7"'),
    { length: 180 },
  ),
  of(
    "ssh",
    "OpenSSH: version of the client",
    "client",
    text("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u6\r\n"),
  ),
  of("ssh", "dropbear: version of the server", "server", text("SSH-2.0-dropbear_2022.83\r\n")),
  of(
    "smtp",
    "Postfix: greeting",
    "server",
    text("220 mx.example.com ESMTP Postfix (Debian/GNU)\r\n"),
  ),
  of("smtp", "curl: EHLO", "client", text("EHLO null\r\n")),
  of("ftp", "curl: USER", "client", text("USER anonymous\r\n"), { greeting: "220 (vsFTPd 3.0.3)" }),
  of("ftp", "curl: AUTH", "client", text("AUTH SSL\r\n"), { greeting: "220 (vsFTPd 3.0.3)" }),
  of("ftp", "vsftpd: greeting", "server", text("220 (vsFTPd 3.0.3)\r\n")),
  of(
    "ftp",
    "Pure-FTPd: greeting",
    "server",
    text("220---------- Welcome to Pure-FTPd [privsep] [TLS] ----------\r\n"),
  ),
  of(
    "ftp",
    "vsftpd: passive mode",
    "server",
    text("227 Entering Passive Mode (127,0,0,1,199,61).\r\n"),
    { start: false },
  ),
  of(
    "rsync",
    "rsync 3.5: version of the client",
    "client",
    text("@RSYNCD: 32.0 sha512 sha256 sha1 md5 md4\n"),
  ),
  of("rsync", "rsync 3.1: version of the server", "server", text("@RSYNCD: 31.0\n")),
  of(
    "iperf3",
    "iperf 3.12: cookie",
    "client",
    hex("78797637726b686a3733696864647235343735336e6b737869657936756463377264777300"),
  ),
  of(
    "iperf3",
    "iperf 3.12: cookie of another run",
    "client",
    text("4zba6uvbxkjz5ai43fnz47375yvjb7mk5e57\0"),
  ),
  of(
    "dns",
    "dig +tcp: query",
    "client",
    hex("0028d3c501200001000000000001076578616d706c6503636f6d00000100010000291000000000000000"),
  ),
  of(
    "dns",
    "server: answer over TCP",
    "server",
    hex(
      "002dd3c581800001000100000000076578616d706c6503636f6d0000010001c00c000100010000012c00045db8d70e",
    ),
  ),
];

export const udpSamples: readonly Sample[] = [
  of(
    "dns",
    "dig: query",
    "client",
    hex("d3c501200001000000000001076578616d706c6503636f6d00000100010000291000000000000000"),
  ),
  of(
    "dns",
    "server: answer",
    "server",
    hex(
      "d3c581800001000100000000076578616d706c6503636f6d0000010001c00c000100010000012c00045db8d70e",
    ),
  ),
  of(
    "dns",
    "query for a long name",
    "client",
    hex("1b0b010000010000000000003f6161616161616161616161616161616161616161"),
    { length: 120 },
  ),
  of(
    "quic",
    "curl: Initial",
    "client",
    hex("c300000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123dc9b"),
    { length: 1200 },
  ),
  of(
    "quic",
    "server: Initial",
    "server",
    hex("cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a5816b6394100f3"),
    { length: 135 },
  ),
  of(
    "quic",
    "client: Initial of version 2",
    "client",
    hex("d36b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6abcdb4298b485dd04de806071bf"),
    { length: 1200 },
  ),
];

/** Protocols that are not in the table, and bytes that several protocols have. */
export const foreignTcp: readonly Sample[] = [
  of(null, "POP3: greeting", "server", text("+OK Dovecot ready.\r\n")),
  of(null, "POP3: USER", "client", text("USER joe\r\n"), { greeting: "+OK Dovecot ready." }),
  of(null, "POP3: -ERR", "server", text("-ERR unknown command\r\n")),
  of(
    null,
    "IMAP: greeting",
    "server",
    text("* OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS] ready.\r\n"),
  ),
  of(null, "IMAP: CAPABILITY", "client", text("A001 CAPABILITY\r\n")),
  of(
    null,
    "RTSP: OPTIONS",
    "client",
    text("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: curl/7.88.1\r\n\r\n"),
  ),
  of(
    null,
    "PostgreSQL's version and user, where Kafka has its key and an id",
    "client",
    hex("0000001a0003000075736572000c7365727669636520757365720000000000"),
    { length: 30 },
  ),
  of(null, "six bytes as of a hello, and no more", "server", hex("160301200001"), { length: 2044 }),
  of(null, "LDAP: bind", "client", hex("300c020101600702010304008000")),
  of(null, "DICT: CLIENT", "client", text("CLIENT libcurl 7.88.1\r\nDEFINE ! x\r\nQUIT\r\n")),
  of(null, "gopher", "client", text("x\r\n")),
  of(
    null,
    "SMB: negotiate",
    "client",
    hex(
      "0000002fff534d4272000000001841000000000000000000000000000000704300000000000c00024e54204c4d20302e" +
        "313200",
    ),
  ),
  of(null, "SOCKS 5", "client", hex("05020001")),
  of(null, "a line of text", "client", text("hello\n")),
  of(null, "greeting of 220 alone", "server", text("220 ready\r\n")),
  of(null, "220 of a host called ftp", "server", text("220 ftp.example.com ready\r\n")),
  of(
    null,
    "220 of a host called smtp",
    "server",
    text("220 smtp.example.com FTP server ready\r\n"),
  ),
  of(null, "SIP: OPTIONS", "client", text("OPTIONS sip:bob@example.com SIP/2.0\r\n")),
  of(null, "ICAP", "client", text("OPTIONS icap://icap.example.net/svc ICAP/1.0\r\n")),
  of(null, "RTSP: DESCRIBE", "client", text("DESCRIBE rtsp://example.com/m RTSP/1.0\r\n")),
  of(null, "Redis: +OK", "server", text("+OK\r\n")),
  of(null, "typed for Redis or memcached", "client", text("get x\r\n")),
  of(null, "memcached: END alone", "server", text("END\r\n")),
  of(
    null,
    "ZooKeeper: connect",
    "client",
    hex(
      "0000002d0000000000000000000000000000753000000000000000000000001000000000000000000000000000000000" +
        "00",
    ),
  ),
  of(null, "Cassandra: OPTIONS", "client", hex("040000000500000000")),
  of(
    null,
    "Cassandra: STARTUP",
    "client",
    hex("0400000001000000160001000b43514c5f56455253494f4e0005332e302e30"),
  ),
  of(null, "Oracle TNS: connect", "client", hex("00f60000010000000139012c0c41ffff4f98000001"), {
    length: 246,
  }),
  of(
    null,
    "SQL Server: prelogin",
    "client",
    hex("1201002f0000010000001a00060100200001020021000103002200040400260001ff"),
    { length: 47 },
  ),
  of(
    null,
    "Thrift: framed",
    "client",
    hex("0000001e800100010000000470696e670000000100000000000000000000000000"),
    { length: 34 },
  ),
  of(
    null,
    "BitTorrent",
    "client",
    hex("13426974546f7272656e742070726f746f636f6c0000000000000000"),
    { length: 68 },
  ),
  of(null, "RDP", "client", hex("030000130ee000000000000100080003000000")),
  of(null, "VNC", "server", text("RFB 003.008\n")),
  of(null, "IRC", "client", text("NICK joe\r\nUSER joe 0 * :joe\r\n")),
  of(
    null,
    "rsync: command of a client",
    "client",
    text("--server\0--sender\0-e.LsfxCIvu\0.\0m/\0\0"),
  ),
  of(null, "a UUID", "client", text("550e8400-e29b-41d4-a716-446655440000\0")),
  of(null, "36 letters", "client", text("abcdefghijklmnopqrstuvwxyzabcdefghij\0")),
  of(
    null,
    "git",
    "client",
    hex(
      "303033656769742d75706c6f61642d7061636b202f70726f6a6563742e67697400686f73743d6578616d706c652e636f" +
        "6d00",
    ),
  ),
  of(null, "X11", "client", hex("6c000b0000001200100000004d49542d4d414749432d434f4f4b49452d31")),
  of(null, "XMPP", "client", text("<?xml version='1.0'?><stream:stream to='example.com'"), {
    length: 140,
  }),
  of(
    null,
    "zeros",
    "client",
    hex(
      "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    ),
  ),
  of(
    null,
    "zeros of a server",
    "server",
    hex(
      "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    ),
  ),
  of(
    null,
    "length and zeros",
    "client",
    hex(
      "0000002c0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    ),
  ),
  of(null, "length 4 and zeros", "server", hex("0000000400000000")),
  of(null, "Hadoop RPC", "client", hex("68727063090000")),
  of(null, "syslog", "client", text("<34>Oct 11 22:14:15 mymachine su: failed")),
  of(null, "Graphite", "client", text("servers.web01.load 1.5 1700000000\n")),
  of(null, "a shell prompt", "server", text("$ ")),
  of(null, "FIX", "client", hex("383d4649582e342e3401393d36350133353d4101")),
  of(null, "Ceph", "server", text("ceph v2\n")),
  of(null, "Elasticsearch transport", "client", hex("4553000000330000000000000001080080"), {
    length: 57,
  }),
  of(null, "WebSocket frame", "client", hex("818537fa213d7f9f4d5158")),
  of(null, "TLS of wrong length", "client", hex("1603010000010000")),
  of(null, "HTTP/0.9", "client", text("GET /\r\n")),
];

export const foreignUdp: readonly Sample[] = [
  of(null, "STUN", "client", hex("000100002112a442b7e7a701bc34d686fa87dfae")),
  of(
    null,
    "NTP",
    "client",
    hex(
      "230000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    ),
  ),
  of(null, "DTLS", "client", hex("16fefd0000000000000000007a0100006e000000000000006efefd"), {
    length: 135,
  }),
  of(
    null,
    "WireGuard",
    "client",
    hex(
      "01000000a1b2c3d49e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e9e",
    ),
    { length: 148 },
  ),
  of(
    null,
    "NetBIOS name",
    "client",
    hex(
      "d0f50110000100000000000020434b414141414141414141414141414141414141414141414141414141414141000021" +
        "0001",
    ),
  ),
  of(
    null,
    "DHCP",
    "client",
    hex("010106003903f326000000000000000000000000000000000000000000000000000000000000000000000000"),
    { length: 300 },
  ),
  of(null, "SNMP", "client", hex("302902010104067075626c6963a01c020400"), { length: 43 }),
  of(
    null,
    "RTP",
    "client",
    hex(
      "8060a1b2000003c01234abcd555555555555555555555555555555555555555555555555555555555555555555555555",
    ),
    { length: 172 },
  ),
  of(null, "OpenVPN", "client", hex("38b5f4f7a6c0a1b2c30000000000")),
  of(null, "statsd", "client", text("web.hits:1|c")),
  of(null, "SIP", "client", text("REGISTER sip:example.com SIP/2.0\r\n")),
  of(
    null,
    "zeros",
    "client",
    hex(
      "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    ),
  ),
  of(
    null,
    "ones",
    "client",
    hex(
      "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ),
  ),
  of(
    null,
    "QUIC short header",
    "client",
    hex("40a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7"),
  ),
  of(null, "memcached over UDP", "client", hex("000100000001000067657420780d0a")),
  of(null, "TFTP", "client", hex("0001626f6f742e696d67006f6374657400")),
];

/** A call of gRPC as grpc-js makes it, and the answer of its server: preface, settings, headers. */
export const grpcCall: readonly Sample[] = [
  of(
    "http2",
    "gRPC",
    "client",
    hex("505249202a20485454502f322e300d0a0d0a534d0d0a0d0a00000604000000000000040000ffff"),
  ),
  of("http2", "gRPC", "server", hex("000000040000000000")),
  of(
    "http2",
    "gRPC",
    "client",
    hex(
      "00000004010000000000006f010400000001418b089d5c0b8170dc680fbc1f83048d6272d141d7c5614a92d8c6e1fa86" +
        "408e9acac8b0c842d6958b510f21aa9b903485a9264fafa90b2d03497ea6f66aff50863485a9264faf7a8e9acac8b547" +
        "90ab7443015c2d2eef5f8b1d75d0620d263d4c4d656440027465864d833505b11f000007000100000001000000000268" +
        "69",
    ),
  ),
  of(
    "http2",
    "gRPC",
    "server",
    hex(
      "00000004010000000000005f010400000001885f901d75d0620d263d4c4d6564ff75d8749f408e9acac8b0c842d6958b" +
        "510f21aa9b903485a9264fafa90b2d03497ea6f66aff408a9acac8b16a21e435537f863485a9264faf6196dd6d5f4a09" +
        "f5349fba82009c502edc641700e298b46f0000070000000000010000000002796f",
    ),
  ),
];

/** A request by HTTP/2 as curl makes it. */
export const http2Get: readonly Sample[] = [
  of(
    "http2",
    "GET",
    "client",
    hex(
      "505249202a20485454502f322e300d0a0d0a534d0d0a0d0a000012040000000000000300000064000402000000000200" +
        "00000000000408000000000001ff0001",
    ),
  ),
  of("http2", "GET", "server", hex("000000040000000000")),
  of(
    "http2",
    "GET",
    "client",
    hex("00001f010500000001828486418b089d5c0b8170dc68226dbf7a8825b650c3abbcf2e153032a2f2a"),
  ),
];
