import pytest

from devstack.install.plan import Installation, Machine, check_wheel, plan_installation
from operations.errors import SetupError


def plan(machine: Machine, *libraries: str) -> Installation:
    return plan_installation(machine, wants_rabbitmq=True, missing_libraries=libraries)


def test_nothing_is_installed_when_all_is_there() -> None:
    assert plan(Machine(rabbitmq=True)) == Installation()
    assert plan_installation(Machine(), wants_rabbitmq=False) == Installation()


def test_root_installs_without_sudo_and_others_with_it() -> None:
    assert plan(Machine(root=True)) == Installation(("rabbitmq-server",))
    assert plan(Machine(sudo=True)).prefix == ("sudo", "-n")


def test_services_of_the_packages_are_kept_from_starting_under_systemd() -> None:
    assert plan(Machine(root=True, systemd=True)).units == (
        "rabbitmq-server.service",
        "epmd.socket",
        "epmd.service",
    )
    # An Erlang that was there before is the user's: its port mapper stays as it is.
    assert plan(Machine(root=True, systemd=True, erlang=True)).units == ("rabbitmq-server.service",)


def test_libraries_that_mongod_lacks_are_installed_by_their_package() -> None:
    machine = Machine(root=True, rabbitmq=True)
    assert plan(machine, "libssl.so.3", "libcurl.so.4", "libcrypto.so.3").packages == (
        "libcurl4",
        "libssl3",
    )


def test_no_right_to_install_names_the_command_and_the_way_around() -> None:
    with pytest.raises(SetupError) as refusal:
        plan(Machine())
    text = str(refusal.value)
    assert "`apt-get install --no-install-recommends rabbitmq-server` once as root" in text
    assert "ROLLCALL_AMQP_URL" in text
    assert "\n" not in text


def test_a_system_without_apt_says_what_to_do() -> None:
    with pytest.raises(SetupError, match=r"no apt-get.*package manager.*ROLLCALL_AMQP_URL"):
        plan(Machine(root=True, apt=False))


def test_an_unknown_library_is_no_guess() -> None:
    with pytest.raises(SetupError, match=r"libzebra\.so\.9, which is not here: install MongoDB"):
        plan(Machine(root=True), "libzebra.so.9")


@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        (Machine(architecture="aarch64"), "does not run on aarch64 Linux:"),
        (Machine(glibc=False), "x86_64 Linux without the GNU C library:"),
        (Machine(avx=False), "a processor with AVX:"),
    ],
)
def test_a_platform_that_the_packed_mongod_cannot_use(machine: Machine, reason: str) -> None:
    with pytest.raises(SetupError) as refusal:
        check_wheel(machine)
    assert reason in str(refusal.value)
    assert "ROLLCALL_MONGO_URI" in str(refusal.value)


def test_a_platform_that_it_can_use() -> None:
    check_wheel(Machine())
