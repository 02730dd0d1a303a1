"""Malformed annotations, videos and images, and what is said of each."""

from tests.study.cli.malformed import (
    Case,
    beside,
    copied,
    cut,
    emptied_folder,
    folder,
    gone,
    lines,
    nowhere,
    of_another_size,
    pipe,
    renamed,
    swapped,
    twice,
    without_folder,
)

I, R, T = "intervals/op2.csv", "rows/op2.txt", "table/op2.csv"  # noqa: E741
S, H, V, P = "seconds/op2.txt", "halves/op2.csv", "videos/op2.mp4", "images/op2/000001.png"

FILES = (
    # intervals
    Case("intervals", I, ("Access", "Acces"), "intervals/op2.csv:2 names the unknown phase 'Acces'"),
    Case("intervals", I, ("0,0.8", "0,zero"), "intervals/op2.csv:2 has 'zero' where a time in seconds is due"),
    Case(
        "intervals",
        I,
        ("0,0.8", "0,1.5"),
        "intervals/op2.csv:3 starts at 0.8 s, before intervals/op2.csv:2 ends at 1.5 s",
    ),
    Case("intervals", I, ("0,0.8", "0.8,0"), "intervals/op2.csv:2 ends at 0 s, not after its start at 0.8 s"),
    Case("intervals", I, ("0,0.8", "-1,0.8"), "intervals/op2.csv:2 has '-1' where a time in seconds is due"),
    Case(
        "intervals", I, ("0,0.8,Access", "0,0.8"), "intervals/op2.csv:2 reads '0, 0.8', without column 3 for the phase"
    ),
    Case(
        "intervals",
        I,
        ("0.8,2", "0.8,20"),
        "intervals/op2.csv is refused, as op2 lasts 2.04 s but its annotation 20.00 s, more than 1 s apart",
    ),
    Case("intervals", I, ("0,0.8", "nan,0.8"), "intervals/op2.csv:2 has 'nan' where a time in seconds is due"),
    Case("intervals", I, ("0.8,2", "0.8,"), "intervals/op2.csv:3 leaves its interval open, as its end is empty"),
    Case("intervals", I, ("0.8,2", "0.8,inf"), "intervals/op2.csv:3 has 'inf' where a time in seconds is due"),
    Case("intervals", I, b"", "intervals/op2.csv is empty"),
    Case("intervals", I, b"start,end,phase\n", "intervals/op2.csv has no rows below its header"),
    Case("intervals", I, gone, "videos/op2.mp4 has no annotation"),
    Case("intervals", I, folder, "intervals/op2.csv is no file"),
    Case("intervals", I, nowhere, "intervals/op2.csv is no file"),
    Case("intervals", I, pipe, "intervals/op2.csv is no file"),
    Case("intervals", I, "start,end,phase\n0,1,Access\n".encode("utf-16"), "intervals/op2.csv is in UTF-16"),
    Case("intervals", I, b"start,end,phase\n0,1,Acc\xe9s\n", "intervals/op2.csv is not a text file (byte 23)"),
    Case("intervals", I, b"\x00\x01\x02\x03" * 100, "intervals/op2.csv has no rows below its header"),
    Case("intervals", I, renamed("op7.csv"), "intervals/op7.csv annotates op7, which has no video"),
    Case(
        "images",
        H,
        ("00:01:40,Access", "00:99:40,Access"),
        "halves/op2.csv:2 has '00:99:40' where a time in hh:mm:ss is due",
    ),
    Case(
        "images",
        H,
        ("00:01:40,Access", "1:40 pm,Access"),
        "halves/op2.csv:2 has '1:40 pm' where a time in hh:mm:ss is due",
    ),
    Case(
        "images",
        H,
        ("00:03:20", "01:03:20"),
        "halves/op2.csv is refused, as op2 lasts 200.00 s but its annotation 3800.00 s, more than 1 s apart",
    ),
    # frame rows
    Case("rows", R, ("30\tClosure", "30\tClosur"), "rows/op2.txt:32 names the unknown phase 'Closur'"),
    Case("rows", R, ("30\tClosure", "30"), "rows/op2.txt:32 reads '30', without column 2 for the phase"),
    Case("rows", R, ("30\tClosure", "thirty\tClosure"), "rows/op2.txt:32 has 'thirty' where a time in frames is due"),
    Case(
        "rows",
        R,
        ("30\tClosure", "30\tClosure\tAccess"),
        "rows/op2.txt:32 reads '30, Closure, Access', with 3 columns where most rows have 2",
    ),
    Case(
        "rows",
        R,
        ("30\tClosure", "1000000000000\tClosure"),
        "rows/op2.txt:32 has '1000000000000' where a time in frames is due",
    ),
    Case("rows", R, swapped(10, 11), "rows/op2.txt:12 is not later than the row before it"),
    Case("rows", R, twice(10), "rows/op2.txt:12 is not later than the row before it"),
    Case(
        "rows",
        R,
        lines(lambda rows: rows + [f"{k}\tClosure" for k in range(50, 150)]),
        "rows/op2.txt is refused, as op2 lasts 2.04 s but its annotation 6.00 s, more than 1 s apart",
    ),
    Case("rows", R, b"Frame\tPhase\n", "rows/op2.txt has no rows below its header"),
    # csv
    Case("table", T, ("at,what", "time,what"), "table/op2.csv:1 has no column 'at'"),
    Case("table", T, ("at,what", "at,label"), "table/op2.csv:1 has no column 'what'"),
    Case(
        "table",
        T,
        ("at,what", "at,what,what"),
        "table/op2.csv:1 reads 'at, what, what', with 3 columns where most rows have 2",
    ),
    Case("table", T, ("0.4,Access", "0.4,access"), "table/op2.csv:4 names the unknown phase 'access'"),
    Case("table", T, ("0.4,Access", "0.4"), "table/op2.csv:4 reads '0.4', without column 2 for the phase"),
    Case("table", T, ("0.4,Access", ",Access"), "table/op2.csv:4 has '' where a time in seconds is due"),
    Case("table", T, ("0.4,Access", '0.4,"Access'), "table/op2.csv:4 names the unknown phase '\"Access'"),
    Case("table", T, swapped(3, 5), "table/op2.csv:5 is not later than the row before it"),
    Case(
        "table",
        T,
        lines(lambda rows: [rows[0]] + [f"{k},Access" for k in range(11)]),
        "table/op2.csv:2 begins rows that are 1 s apart instead of 5 per second",
    ),
    # seconds
    Case("seconds", S, ("1\tClosure", "1\tCloses"), "seconds/op2.txt:2 names the unknown phase 'Closes'"),
    Case(
        "seconds", S, ("1\tClosure", "2\tClosure\n1\tClosure"), "seconds/op2.txt:3 is not later than the row before it"
    ),
    Case("seconds", S, ("1\tClosure", "one\tClosure"), "seconds/op2.txt:2 has 'one' where a time in frames is due"),
    Case(
        "seconds",
        S,
        b"Access\n" * 60,
        "seconds/op2.txt is refused, as op2 lasts 2.04 s but its annotation 60.00 s, more than 1 s apart",
    ),
    # videos
    Case("intervals", V, b"", "videos/op2.mp4 is empty"),
    Case("intervals", V, cut(900), "videos/op2.mp4 is truncated, 900 of 2238 bytes long"),
    Case("intervals", V, cut(-200), "videos/op2.mp4 is truncated, 3443 of 3643 bytes long"),
    Case("intervals", V, b"these are words" * 100, "videos/op2.mp4 is not a video (mp4, mov, mkv, avi, mpg, ts)"),
    Case("intervals", V, gone, "intervals/op2.csv annotates op2, which has no video"),
    Case("intervals", V, folder, "videos/op2.mp4 is no file"),
    Case("intervals", V, nowhere, "videos/op2.mp4 is no file"),
    Case("intervals", V, pipe, "videos/op2.mp4 is no file"),
    Case("intervals", V, renamed("op2.avi"), "intervals/op2.csv annotates op2, which has no video"),
    Case("intervals", V, renamed("OP2.mp4"), "intervals/op2.csv annotates op2, which has no video"),
    Case("intervals", V, copied("op3.mp4"), "videos/op3.mp4 is the same video as videos/op2.mp4"),
    Case("intervals", V, copied("op1.mp4"), "videos/op2.mp4 is the same video as videos/op1.mp4"),
    # images
    Case("images", P, b"", "images/op2/000001.png is empty"),
    Case("images", P, cut(60), "images/op2/000001.png is damaged (Truncated File Read)"),
    Case("images", P, b"GIF89a" + bytes(40), "images/op2/000001.png is damaged (it is no image)"),
    Case("images", P, folder, "images/op2/000001.png is no file that can be read"),
    Case("images", P, nowhere, "images/op2/000001.png is no file that can be read"),
    Case(
        "images", P, renamed("frame one.png"), "images/op2/frame one.png is not named by its index, like '{frame}.png'"
    ),
    Case("images", P, beside("1.png"), "images/op2/1.png has the index of 000001.png"),
    Case(
        "images",
        P,
        of_another_size,
        "images/op2/000001.png is 8×8 px, unlike the 64×48 px of most images of its folder",
    ),
    Case("images", P, without_folder, "halves/op2.csv annotates op2, which has no video"),
    Case("images", P, emptied_folder, "images/op2 holds no images (.jpg, .jpeg, .png)"),
    Case(
        "intervals",
        V,
        copied("../images/op1/000000.png"),
        "videos/op2.mp4 is not a video (mp4, mov, mkv, avi, mpg, ts)",
    ),
)
