#!/usr/bin/env python3
"""Random searches for search.py over its own indices: search_random.py SEED COUNT > FILE, then
search.py --cases FILE. The same seed gives the same searches.

Queries of every kind, nested three deep, with sorts, pages, post filters, minimum scores and
highlights now and then; values are those of search_data.txt, so that most of them find something.
"""
import random,json,sys
random.seed(int(sys.argv[1])); N=int(sys.argv[2])
W="quick brown fox jumps over the lazy dog search engine index new york city big apple wi fi fast slow red green café straße 2024 zzz".split()
T=["title","body","syn","tv","off","nopos","nonorm","stop","title.en","o.y","copy"]
K=["kw","kwn","kwi","kwnull","multi","nodv","o.x","title.raw"]
KV=["alpha","Beta","gamma","delta-x","zeta zeta","","apfel","short","v1","NULL","aa","b","n1","x1","m1"]
def words(n): return ' '.join(random.choice(W) for _ in range(random.randint(1,n)))
def opt(d,p=.3):
    return {k:v for k,v in d.items() if random.random()<p}
def leaf():
    r=random.random()
    if r<.22: return {"match":{random.choice(T):dict(query=words(4),**opt({"operator":"and","minimum_should_match":random.choice([1,2,"50%","-1","2<70%"]),"fuzziness":random.choice(["AUTO",1,2]),"boost":random.choice([.5,2,3.3]),"prefix_length":1,"zero_terms_query":"all"},.2))}}
    if r<.32: return {"match_phrase":{random.choice([t for t in T if t!='nopos']):dict(query=words(3),**opt({"slop":random.randint(0,10),"boost":1.7}))}}
    if r<.36: return {"match_phrase_prefix":{random.choice(["title","body","tv"]):{"query":words(2)+' '+random.choice(W)[:2],"slop":random.randint(0,3)}}}
    if r<.39: return {"match_bool_prefix":{random.choice(["title","body"]):words(2)+' '+random.choice(W)[:1]}}
    if r<.50: return {"multi_match":dict(query=words(3),fields=random.sample(["title","body^2","nonorm","tv^0.3","stop","syn"],random.randint(1,4)),type=random.choice(["best_fields","most_fields","cross_fields","phrase","phrase_prefix","bool_prefix"]),**opt({"operator":"and","tie_breaker":.3,"minimum_should_match":"60%","analyzer":"standard"},.25))}
    if r<.58: return {"term":{random.choice(K+T):random.choice(KV+W)}}
    if r<.62: return {"terms":{random.choice(K+T):random.sample(KV+W,3)}}
    if r<.72:
        f=random.choice(["i","l","d","f","s","y","date","nums","dbls","kw","inull"])
        if f=='date': lo,hi=sorted(["2023-%02d-01"%random.randint(1,12),"2024-%02d-15"%random.randint(1,12)])
        elif f=='kw': lo,hi="a","m"
        else: lo,hi=sorted([random.randint(-200,3000),random.randint(-200,3000)])
        return {"range":{f:{random.choice(["gt","gte"]):lo,random.choice(["lt","lte"]):hi,**opt({"boost":2})}}}
    if r<.76: return {"exists":{"field":random.choice(K+T+["i","l","d","b","o","o.z","ip","_ignored" if 0 else "date"])}}
    if r<.80: return {"prefix":{random.choice(K+T):dict(value=random.choice(KV+W)[:2],**opt({"rewrite":random.choice(["scoring_boolean","top_terms_2","top_terms_boost_3","constant_score"])}))}}
    if r<.83: return {"wildcard":{random.choice(["kw","title","body","kwn"]):{"value":random.choice(["*a*","?o*","*e","q*k","*","a?p*"])}}}
    if r<.86: return {"regexp":{random.choice(["kw","title","body"]):{"value":random.choice(["[a-f].*","(fox|dog)",".{3}","q.+k","~(fox)","l[^b]*"])}}}
    if r<.90: return {"fuzzy":{random.choice(["title","body","tv"]):dict(value=random.choice(["quikc","fxo","serch","lzay","broen","doq"]),**opt({"fuzziness":random.choice([1,2]),"max_expansions":random.choice([1,2,10]),"prefix_length":1,"transpositions":False}))}}
    if r<.92: return {"ids":{"values":[str(random.randint(1,60)) for _ in range(4)]}}
    if r<.94: return {"match_all":opt({"boost":2.5})}
    if r<.97: return {"query_string":dict(query=random.choice(["%s AND %s","%s -%s","\"%s %s\"~3","%s~ %s","(%s OR %s) AND fox","title:%s body:%s^2"])%(random.choice(W),random.choice(W)),fields=["title","body"],**opt({"default_operator":"and","minimum_should_match":2,"type":"cross_fields"}))}
    return {"simple_query_string":dict(query=random.choice(["%s + %s","%s | -%s","\"%s %s\"~2","%s* %s"])%(random.choice(W),random.choice(W)),fields=["title","body^1.5"])}
def q(d):
    r=random.random()
    if d==0 or r<.4: return leaf()
    if r<.85:
        b={}
        for k,p in (("must",.5),("should",.6),("filter",.3),("must_not",.25)):
            if random.random()<p: b[k]=[q(d-1) for _ in range(random.randint(1,3))]
        b.update(opt({"minimum_should_match":random.choice([0,1,2,-1,"50%"]),"boost":random.choice([.4,2])},.2))
        return {"bool":b}
    if r<.93: return {"dis_max":dict(queries=[q(d-1) for _ in range(random.randint(1,3))],**opt({"tie_breaker":random.choice([.2,.7,1]),"boost":2}))}
    return {"constant_score":{"filter":q(d-1),**opt({"boost":3})}}
SORTS=["i",{"kw":"desc"},{"nums":{"mode":"avg"}},{"date":"desc"},{"d":{"missing":"_first"}},"_score",{"multi":{"mode":"max"}},{"l":"desc"}]
for _ in range(N):
    body={"query":q(random.choice([0,1,2,3])),"size":random.choice([3,10,60]),"_source":False}
    body.update(opt({"sort":random.sample(SORTS,2)+["i"],"from":2,"min_score":1.2,"track_scores":True,"post_filter":leaf(),"highlight":{"fields":{"title":{},"body":{"fragment_size":random.choice([20,50,100]),"type":random.choice(["unified","plain"])},"tv":{"type":"fvh"}}}},.12))
    print(json.dumps(body,ensure_ascii=False))
