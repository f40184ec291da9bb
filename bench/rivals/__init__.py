"""Programs that deal with due jobs, each through the package whose name it bears: ``PROGRAM ACT URL``.

fill   install into an empty database and make 200,000 jobs due
one    claim one job and finish it, over and over, until killed
best   the same with what the package offers to be fast
late   one worker claims a job and stalls, another claims it, the first finishes: ``refused`` or ``taken``
"""
