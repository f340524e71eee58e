import pytest

from tightbound.core.progress import Progress


def test_silent_where_standard_error_is_no_terminal(capsys):
    with Progress("fitting", 2) as bar:
        bar.advance("bound -1.00 nats")
    assert capsys.readouterr() == ("", "")


def test_shown_on_standard_error_alone(capsys):
    with Progress("fitting", 4, done=1, shown=True) as bar:
        bar.advance("bound -1.00 nats")
    out, err = capsys.readouterr()
    assert out == ""
    assert "fitting" in err
    assert "2/4" in err
    assert "bound -1.00 nats" in err


def test_leaves_the_bar_where_work_failed(capsys):
    def work():
        with Progress("fitting", 3, shown=True) as bar:
            bar.advance()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    assert "1/3" in capsys.readouterr().err
