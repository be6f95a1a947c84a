"""What a Redis URL says to us, and what is left of it for the driver."""

from keyturn.settings_redis_url import read_redis_url


def test_of_one_server_the_driver_reads_the_url_itself():
    read = read_redis_url("redis://u:p@cache/3")
    assert (read.topology, read.server, read.hosts) == ("server", "redis://u:p@cache/3", ())


def test_of_sentinels_the_driver_reads_the_servers_login_and_never_the_sentinels():
    read = read_redis_url(
        "rediss+sentinel://u:p%40w@s1,[2001:db8::1]:7/2"
        "?service=main&client_name=k&sentinel_username=su&sentinel_password=s%26p"
    )
    assert read.topology == "sentinel"
    assert read.hosts == (("s1", 26379), ("2001:db8::1", 7))
    assert read.service == "main"
    assert read.sentinel_login == {"username": "su", "password": "s&p"}
    assert read.server == "rediss://u:p%40w@s1/2?client_name=k"
    assert not any(secret in repr(read) for secret in ("p%40w", "s&p"))


def test_of_a_cluster_the_driver_reads_one_node_and_we_know_all():
    read = read_redis_url("redis+cluster://:p@n1:7001,n2")
    assert (read.topology, read.server) == ("cluster", "redis://:p@n1:7001")
    assert read.hosts == (("n1", 7001), ("n2", 6379))
